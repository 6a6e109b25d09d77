"""Listening ports for tasks: out of the cluster's range, the slot's last one if it is free.

A port is only *found* free, not held: the task binds it itself a moment later. All nodes of a machine share the range, so
each begins to look at a place that the task's id decides, and two that look at once hardly meet.
"""

from __future__ import annotations

import socket
import zlib

from swarmtui.agent.executor import TaskRejected

ATTEMPTS_MAX = 500


class Ports:
    """The ports of one node's tasks."""

    def __init__(self, first: int, last: int) -> None:
        self._first, self._last = first, last
        self._taken: set[int] = set()

    def take(self, task_id: str, hint: int) -> int:
        """A port for this task; released with `release`. Raises TaskRejected if none is found."""
        for port in self._candidates(task_id, hint):
            if port not in self._taken and is_free(port):
                self._taken.add(port)
                return port
        raise TaskRejected(f"no free port in {self._first}-{self._last} (task_ports of the cluster)")

    def release(self, port: int) -> None:
        self._taken.discard(port)

    def _candidates(self, task_id: str, hint: int) -> list[int]:
        count = self._last - self._first + 1
        start = zlib.crc32(task_id.encode()) % count
        around = [self._first + (start + step) % count for step in range(min(count, ATTEMPTS_MAX))]
        return [hint, *around] if self._first <= hint <= self._last else around


def is_free(port: int) -> bool:
    """True if a server could listen there now. Connections of an earlier server that are winding down do not count, as
    they do not for servers: SO_REUSEADDR."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
