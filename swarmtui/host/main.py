"""`python -m swarmtui.host DIRECTORY`: the host's process, from its lock to its last line.

Ends with 0 when it was shut down, LOCKED_STATUS when another host holds the directory, else 1 with the reason as the last
line of host.log.

Everything that takes long to import is imported late: first the lock, then the foundry, which imports what a node needs
while this process imports what a host needs.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from swarmtui.host.foundry import NODE_PROGRAM, WARM, start_foundry
from swarmtui.host.status import LOCKED_STATUS

PRIVATE_FILE = 0o600
LOCK_LIMIT_S = 1.0  # a host that was killed holds its lock until the system has cleared it away

Command = Callable[[Path], Sequence[str]]
"""The argument vector of the node that lives in this directory, where it is a fresh interpreter."""


def node_command(directory: Path) -> Sequence[str]:
    return [sys.executable, "-m", "swarmtui.node", str(directory)]


def main(
    arguments: Sequence[str],
    *,
    command: Command = node_command,
    program: str = NODE_PROGRAM,
    warm: tuple[str, ...] = WARM,
) -> int:
    if len(arguments) != 1:
        print("usage: python -m swarmtui.host DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(arguments[0]).resolve()
    try:
        lock = os.open(directory / "host.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        print(f"{directory}: {error.strerror}", file=sys.stderr)
        return 1
    if not _locked(lock):
        return LOCKED_STATUS
    foundry = start_foundry(program, warm) if program else None

    from swarmtui.host.process import serve_directory

    return serve_directory(directory, command, foundry)


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
