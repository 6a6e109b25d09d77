"""The host's process once it holds the lock: its log, its signals, its nursery, and how what went wrong is said."""

from __future__ import annotations

import signal
import socket
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from swarmtui.causes import innermost
from swarmtui.host.enrolment import adopt_own
from swarmtui.host.events import EventRing
from swarmtui.host.host import Host
from swarmtui.host.layout import Layout
from swarmtui.host.log import HostLog
from swarmtui.host.manifest_file import UnreadableCluster, read_manifest
from swarmtui.host.spawning import Foundry, spawn_copies, spawn_fresh
from swarmtui.wire.certificates import NotCertified


def serve_directory(directory: Path, command: Callable[[Path], Sequence[str]], control: socket.socket | None) -> int:
    """Until it was shut down; returns the exit status. `control` is the host's end of a foundry's socket."""
    layout = Layout(directory)
    log = HostLog(layout.host_log)
    spawn, foundry = spawn_fresh(command), None
    if control is not None:
        foundry = Foundry(control)
        spawn = spawn_copies(foundry, spawn)
    try:
        log.open()
        manifest = adopt_own(layout, read_manifest(directory))
        trio.run(_run, Host(directory, manifest, EventRing(also=log.event), spawn=spawn, foundry=foundry))
    except BaseException as error:
        log.write(_reason(innermost(error), error, directory))
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


def _reason(cause: BaseException, error: BaseException, directory: Path) -> str:
    """One line for `up` to show; the traceback of what nobody foresaw goes before it."""
    if isinstance(cause, (UnreadableCluster, NotCertified)):
        return str(cause)
    if isinstance(cause, OSError):
        return f"{cause.filename or directory}: {cause.strerror or cause}"
    traceback.print_exception(error)
    return f"{type(cause).__name__}: {cause}"
