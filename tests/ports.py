"""Ports for tests that close one and open it again: never from the range that the system hands to outgoing connections.

Each process that runs tests has a block of them to itself, held by a lock for as long as it lives, so that two suites (or
two workers of one) never take each other's.
"""

from __future__ import annotations

import fcntl
import random
import socket
import tempfile
from functools import cache
from pathlib import Path

FIRST_PORT, LAST_PORT = 30_000, 32_700  # above those of tasks; those of nodes are below
BLOCK = 100


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now, and that was not given out lately."""
    block = _block()
    for _ in block:
        _given.append(block[len(_given) % len(block)])
        if _is_free(_given[-1]):
            return _given[-1]
    raise RuntimeError(f"no port of {block} is free")


def free_ports(count: int) -> int:
    """The first of `count` such ports in a row."""
    while True:
        ports = [free_port() for _ in range(count)]
        if ports[-1] - ports[0] == count - 1:
            return ports[0]


@cache
def _block() -> range:
    """This process's ports. The lock ends with the process, however it ends."""
    directory = Path(tempfile.gettempdir()) / "swarmtui-test-ports"
    directory.mkdir(exist_ok=True)
    starts = list(range(FIRST_PORT, LAST_PORT, BLOCK))
    for start in random.sample(starts, len(starts)):
        lock = (directory / str(start)).open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _held.append(lock)
        return range(start, start + BLOCK)
    raise RuntimeError(f"{len(starts)} processes hold all blocks of test ports in {directory}")


_held: list[object] = []  # open files; a lock is let go of when its file is closed
_given: list[int] = []  # in their order: the same one does not come again before all others have


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
