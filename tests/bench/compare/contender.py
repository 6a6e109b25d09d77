"""What the comparison needs of each of the three."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tests.bench.compare.loader import Answer, Order


class Missing(Exception):
    """A program that the comparison needs is not installed; the text says how to install it."""


class Contender(Protocol):
    name: str

    def describe(self) -> str:
        """Version, and the rule by which it acknowledges: what is on a disk by then."""
        ...

    def start(self, directory: Path) -> None:
        """Three members on loopback, their data under `directory`, and what loads them. Raises Missing."""
        ...

    def pids(self) -> Mapping[str, int]:
        """Its processes by what they are: leader, follower 1, follower 2, client, client 2."""
        ...

    def can(self, order: Order) -> bool: ...

    def load(self, order: Order) -> Answer: ...

    def end(self) -> None:
        """End every process that was started; any number of times."""
        ...


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
