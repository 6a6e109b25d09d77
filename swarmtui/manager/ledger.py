"""The scheduler's books: for each node which tasks it holds or is about to hold, counted as ranking and filters need them.

A task counts from the decision to place it, so that placements still undecided are never forgotten. Two counts differ on
purpose, as in swarmkit (manager/scheduler/nodeinfo.go): a task that was told to stop no longer counts as *active*, but its *reservations* count until it
really has stopped. Every change costs the same whatever the number of tasks.
"""

from __future__ import annotations

from collections import deque

import attrs

from swarmtui.objects.records import Node, Task
from swarmtui.objects.specs import Resources
from swarmtui.objects.states import TaskState

FAILURES_COUNTED_S = 300.0
FAILURES_TOLERATED = 5
FAILURES_KEPT_MAX = 50

Version = tuple[str, int]
"""A service and the version of its spec."""


def is_tracked(task: Task) -> bool:
    """On its way, or running."""
    return TaskState.PENDING <= task.status.state <= TaskState.RUNNING


def is_active(task: Task) -> bool:
    return is_tracked(task) and task.desired_state <= TaskState.COMPLETE


@attrs.define(eq=False)
class NodeLedger:
    """One node's page."""

    node: Node
    tasks: dict[str, Task] = attrs.field(factory=dict)
    active: int = 0
    _active_by_service: dict[str, int] = attrs.field(factory=dict)
    _nano_cpus: int = 0
    _memory_bytes: int = 0
    _failures: dict[Version, deque[float]] = attrs.field(factory=dict)

    def active_of(self, service_id: str) -> int:
        return self._active_by_service.get(service_id, 0)

    @property
    def free(self) -> Resources:
        total = self.node.description.resources
        return Resources(total.nano_cpus - self._nano_cpus, total.memory_bytes - self._memory_bytes)

    def put(self, task: Task) -> None:
        """Enters the task, or what has become of it."""
        self.drop(task.id)
        if not is_tracked(task):
            return
        self.tasks[task.id] = task
        self._count(task, 1)

    def drop(self, task_id: str) -> None:
        task = self.tasks.pop(task_id, None)
        if task is not None:
            self._count(task, -1)

    def _count(self, task: Task, sign: int) -> None:
        reserved = task.spec.resources.reservations
        self._nano_cpus += sign * reserved.nano_cpus
        self._memory_bytes += sign * reserved.memory_bytes
        if is_active(task):
            self.active += sign
            left = self._active_by_service.get(task.service_id, 0) + sign
            if left:
                self._active_by_service[task.service_id] = left
            else:
                del self._active_by_service[task.service_id]

    def note_failure(self, version: Version, now: float) -> None:
        self._failures.setdefault(version, deque(maxlen=FAILURES_KEPT_MAX)).append(now)

    def penalty(self, version: Version, now: float) -> int:
        """How often tasks of this version failed here lately; 0 while it is not often enough to matter."""
        times = self._failures.get(version)
        if times is None:
            return 0
        while times and times[0] < now - FAILURES_COUNTED_S:
            times.popleft()
        if not times:
            del self._failures[version]
        return len(times) if len(times) >= FAILURES_TOLERATED else 0


@attrs.define(eq=False)
class Ledger:
    """All pages, and where each task is entered."""

    pages: dict[str, NodeLedger] = attrs.field(factory=dict)
    _page_of: dict[str, str] = attrs.field(factory=dict)

    def put_node(self, node: Node) -> None:
        page = self.pages.get(node.id)
        if page is None:
            self.pages[node.id] = NodeLedger(node)
        else:
            page.node = node

    def drop_node(self, node_id: str) -> None:
        page = self.pages.pop(node_id, None)
        if page is not None:
            for task_id in page.tasks:
                self._page_of.pop(task_id, None)

    def put(self, task: Task) -> None:
        """Enters a task under its node; one that has none, or has ended, is crossed out."""
        known = self._page_of.get(task.id)
        if known is not None and known != task.node_id:
            self.drop(task.id)
        page = self.pages.get(task.node_id)
        if page is None:
            return
        page.put(task)
        if task.id in page.tasks:
            self._page_of[task.id] = task.node_id
        else:
            self._page_of.pop(task.id, None)

    def drop(self, task_id: str) -> None:
        page = self.pages.get(self._page_of.pop(task_id, ""))
        if page is not None:
            page.drop(task_id)
