"""`python -m swarmtui.host DIRECTORY`: the host's process, from its lock to its last line.

Ends with 0 when it was shut down, LOCKED_STATUS when another host holds the directory, else 1 with the reason as the last
line of host.log.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import trio

from swarmtui.host.create import UnreadableCluster, read_manifest
from swarmtui.host.events import EventRing
from swarmtui.host.files import PRIVATE_FILE
from swarmtui.host.host import Host
from swarmtui.host.info import LOCKED_STATUS
from swarmtui.host.layout import Layout
from swarmtui.host.log import HostLog
from swarmtui.host.supply import NodeCommand
from swarmtui.wire.certificates import NotCertified

LOCK_LIMIT_S = 1.0  # a host that was killed holds its lock until the system has cleared it away


def node_command(directory: Path) -> Sequence[str]:
    return [sys.executable, "-m", "swarmtui.node", str(directory)]


def main(arguments: Sequence[str], *, command: NodeCommand = node_command) -> int:
    if len(arguments) != 1:
        print("usage: python -m swarmtui.host DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(arguments[0]).resolve()
    layout = Layout(directory)
    try:
        lock = os.open(layout.host_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        print(f"{directory}: {error.strerror}", file=sys.stderr)
        return 1
    if not _locked(lock):
        return LOCKED_STATUS
    log = HostLog(layout.host_log)
    try:
        log.open()
        manifest = read_manifest(directory)
        host = Host(directory, manifest, EventRing(also=log.event), node_command=command)
        trio.run(_run, host)
    except (UnreadableCluster, NotCertified) as error:
        log.write(str(error))
        return 1
    except OSError as error:
        log.write(f"{error.filename or directory}: {error.strerror or error}")
        return 1
    return 0


async def _run(host: Host) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_obey_signals, host)
        await host.run()
        nursery.cancel_scope.cancel()


async def _obey_signals(host: Host) -> None:
    """The machine is shutting down, or somebody wants us to end: in order, as `down` does."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        async for number in received:
            host.events.emit("host", f"{signal.Signals(number).name} received")
            host.shut_down()


def _locked(descriptor: int) -> bool:
    deadline = time.monotonic() + LOCK_LIMIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
