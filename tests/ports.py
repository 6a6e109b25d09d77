"""Ports for tests that close one and open it again: never from the range that the system hands to outgoing connections."""

from __future__ import annotations

import random
import socket

PORTS = range(10_000, 20_000)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nobody listens on now."""
    while True:
        first = random.choice(PORTS[:-count])
        if all(_is_free(port) for port in range(first, first + count)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
