"""NEW -> PENDING: gives a task what it needs from the cluster as a whole before a node is chosen (swarmkit manager/allocator).

A task of processes needs nothing: its port is chosen by its node, near the hint that it inherited from its slot's last
task (`tasks.new_task`). So the orchestrators create tasks `allocated` already, which saves a round of consensus for every
task that starts; the reconciler is for tasks that somebody else made, and the place for what is to be allocated some day.
"""

from __future__ import annotations

from typing import ClassVar

from swarmtui.manager.reconciler import Decision, Moment, Reconciler
from swarmtui.objects.operations import Advance
from swarmtui.objects.records import Task, TaskStatus
from swarmtui.objects.states import TaskState
from swarmtui.store import Change


def allocated(wall: float) -> TaskStatus:
    """The status of a task that has everything but a node."""
    return TaskStatus(TaskState.PENDING, timestamp=wall, message="pending task scheduling")


class Allocator(Reconciler):
    """One key a new task."""

    name: ClassVar[str] = "allocator"
    tables: ClassVar[frozenset[str]] = frozenset({Task.TABLE})

    def notice(self, change: Change, moment: Moment) -> None:
        task = change.after
        if isinstance(task, Task) and task.status.state is TaskState.NEW:
            self.mark([task.id])

    def look_at_everything(self, moment: Moment) -> None:
        self.mark(task.id for task in self.store.tasks() if task.status.state is TaskState.NEW)

    def decide(self, key: str, moment: Moment) -> Decision | None:
        task = self.store.get(Task, key)
        if task is None or task.status.state is not TaskState.NEW or task.desired_state > TaskState.COMPLETE:
            return None
        return Decision((key,), (Advance(task_id=key, status=allocated(moment.wall)),))
