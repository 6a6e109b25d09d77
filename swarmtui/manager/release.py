"""Starts the tasks that were made to wait (swarmkit manager/orchestrator/restart): desired READY -> RUNNING.

A replacement is created READY: scheduled and prepared at once, but not started. It is released when its restart delay is
over *and* every other task of its slot that is to stop has stopped, or lost its node, or had a minute to do so. The delay
runs from when this leader first saw the replacement; a new leader begins it anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from swarmtui.manager.nodes import is_down
from swarmtui.manager.reconciler import Decision, Moment, Reconciler, cluster_of
from swarmtui.manager.restart import cause_of, delay_s
from swarmtui.manager.tasks import SlotKey, creation_order, has_ended, is_runnable, is_stopped, slot_key, slot_tasks
from swarmtui.objects.operations import Advance
from swarmtui.objects.quantities import SECOND_NS
from swarmtui.objects.records import Cluster, Node, Service, Task
from swarmtui.objects.states import TaskState
from swarmtui.store import Change, Store

STOP_WAIT_S = 60.0
"""How long a replacement waits for its predecessor beyond the predecessor's own grace period."""


class Releaser(Reconciler):
    """One key a waiting task."""

    name: ClassVar[str] = "release"
    tables: ClassVar[frozenset[str]] = frozenset({Task.TABLE, Node.TABLE, Cluster.TABLE})

    def __init__(self, store: Store, new_id: Callable[[], str]) -> None:
        super().__init__(store, new_id)
        self._seen: dict[str, tuple[float, float]] = {}  # task id: (first seen, released not before)
        self._waiting: dict[SlotKey, set[str]] = {}  # slot: ids of its waiting tasks

    def notice(self, change: Change, moment: Moment) -> None:
        match change.after or change.before:
            case Task() as task:
                self._notice_task(task, change.after is None)
            case Node() as node:
                was_down = isinstance(change.before, Node) and is_down(change.before)
                if change.after is None or (is_down(node) and not was_down):
                    for task in self.store.tasks(node_id=node.id):
                        self.mark(sorted(self._waiting.get(slot_key(task), ())))
            case Cluster():
                self.mark(self._seen)

    def _notice_task(self, task: Task, removed: bool) -> None:
        slot = slot_key(task)
        if not removed and _is_waiting(task):
            if task.id not in self._waiting.setdefault(slot, set()):
                self._waiting[slot].add(task.id)
                self.mark([task.id])
            return
        waiting = self._waiting.get(slot)
        if waiting is None:
            return
        if task.id in waiting:
            self._forget(task.id, slot)
        elif removed or has_ended(task):
            self.mark(waiting)

    def _forget(self, task_id: str, slot: SlotKey) -> None:
        self._seen.pop(task_id, None)
        waiting = self._waiting.get(slot)
        if waiting is not None:
            waiting.discard(task_id)
            if not waiting:
                del self._waiting[slot]

    def look_at_everything(self, moment: Moment) -> None:
        self._waiting.clear()
        for task in self.store.tasks():
            if _is_waiting(task):
                self._waiting.setdefault(slot_key(task), set()).add(task.id)
                self.mark([task.id])

    def decide(self, key: str, moment: Moment) -> Decision | None:
        task = self.store.get(Task, key)
        if task is None or not _is_waiting(task):
            return None
        if cluster_of(self.store).shutting_down:
            return None
        others = self._others(task)
        first_seen, not_before = self._timing(task, others, moment)
        if moment.now < not_before:
            self.look_again_at(key, not_before)
            return None
        stopping = [other for other in others if not is_stopped(other, self._is_gone(other))]
        grace_s = max((other.spec.container_spec.stop_grace_period_ns / SECOND_NS for other in stopping), default=0.0)
        patience_ends = first_seen + STOP_WAIT_S + grace_s
        if stopping and moment.now < patience_ends:
            self.look_again_at(key, patience_ends)
            return None
        return Decision((key,), (Advance(task_id=key, desired_state=TaskState.RUNNING),))

    def _others(self, task: Task) -> list[Task]:
        """The tasks of the slot that are not to run any more, by age."""
        tasks = slot_tasks(self.store, slot_key(task))
        return sorted((other for other in tasks if other.id != task.id and not is_runnable(other)), key=creation_order)

    def _timing(self, task: Task, others: list[Task], moment: Moment) -> tuple[float, float]:
        known = self._seen.get(task.id)
        if known is not None:
            return known
        delay = 0.0
        service = self.store.get(Service, task.service_id)
        older = [other for other in others if creation_order(other) < creation_order(task)]
        if service is not None and older:
            node = self.store.get(Node, older[-1].node_id) if older[-1].node_id else None
            cause = cause_of(older[-1], node)
            if cause is not None:
                delay = delay_s(cause, node, service, cluster_of(self.store))
        timing = self._seen[task.id] = (moment.now, moment.now + delay)
        return timing

    def _is_gone(self, task: Task) -> bool:
        return bool(task.node_id) and is_down(self.store.get(Node, task.node_id))


def _is_waiting(task: Task) -> bool:
    return task.desired_state is TaskState.READY and not has_ended(task)
