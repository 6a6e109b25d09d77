"""What a kind of task must be able to do, whatever it is made of: processes now, containers later.

An `Executor` turns an assigned task into a `Workload`, which is started once and ends once. Errors before it was started
are `TaskRejected` (the node cannot run it: swarm's REJECTED), later ones `TaskFailed`; both texts are shown to people.
"""

from __future__ import annotations

import enum
import signal as signals
from collections.abc import Mapping
from typing import Protocol

import attrs

from swarmtui.objects.records import Task


class TaskRejected(Exception):
    """This task cannot run here; nothing was started. One sentence."""


class TaskFailed(Exception):
    """It could not be started although all was prepared, or what ran it died. One sentence."""


class TaskAction(enum.StrEnum):
    """What people do to a running task."""

    KILL = "kill"  # SIGKILL to all its processes
    STOP = "stop"  # its stop signal, its grace period, then kill
    PAUSE = "pause"  # SIGSTOP to all its processes
    RESUME = "resume"


@attrs.frozen
class Exit:
    """How a workload ended. `code` as a shell counts: 128 + n if signal n killed it. `lost`: not by itself, but because
    what ran it was killed."""

    code: int
    last_line: str = ""
    lost: bool = False

    @property
    def error(self) -> str:
        """Docker's words, and why: the last line of standard error. "" after success."""
        if self.lost:
            return "task: the launcher of its node was killed, and the task with it"
        if self.code == 0:
            return ""
        reason = self.last_line or self._signal_name()
        return f"task: non-zero exit ({self.code})" + (f": {reason}" if reason else "")

    def _signal_name(self) -> str:
        try:
            return f"killed by {signals.Signals(self.code - 128).name}"
        except ValueError:
            return ""


class Workload(Protocol):
    """One task, prepared. `port` is its own listening port (0: none)."""

    @property
    def port(self) -> int: ...

    async def start(self) -> int:
        """Starts it, once, and gives the pid of its first process. Raises TaskFailed."""
        ...

    async def wait(self) -> Exit:
        """Returns when it has ended and nothing that belongs to it is left."""
        ...

    async def stop(self) -> None:
        """Its stop signal, its grace period, then SIGKILL to all its processes; returns when it has ended."""
        ...

    async def act(self, action: TaskAction) -> None:
        """Raises TaskFailed if it does not run."""
        ...

    def release(self) -> None:
        """It has ended, or will not be started: gives back what was reserved for it (its port)."""
        ...


class Executor(Protocol):
    async def prepare(self, task: Task, addresses: Mapping[str, str]) -> Workload:
        """Makes everything ready so that starting is instant. `addresses` of published services, "web" to "host:port".
        Raises TaskRejected."""
        ...

    async def remove(self, task_id: str) -> None:
        """Deletes what the task left on disk. It does not run any more."""
        ...
