"""PENDING -> ASSIGNED: chooses a node for every task that has none, and confirms the node of those that were made for one.

Tasks of the same service and spec are placed as one group (swarmkit manager/scheduler). Each assignment is guarded by the versions of
the nodes it uses: a drain that is committed meanwhile makes it conflict, and the group is looked at again. Placements
whose result is not known yet are in the books already. What fits nowhere stays PENDING with the reason in its status and
is tried again when a node changes or something frees room, and only then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import attrs

from swarmtui.manager.filters import Filter, explain, refusal
from swarmtui.manager.ledger import Ledger, NodeLedger, Version, is_active, is_tracked
from swarmtui.manager.reconciler import Decision, Loop, Moment, Narration, cluster_of
from swarmtui.manager.spread import place
from swarmtui.objects.constraints import value_of
from swarmtui.objects.operations import OPERATIONS_MAX, Advance, Operation, Require, Verdict
from swarmtui.objects.records import Cluster, Node, Task, TaskStatus
from swarmtui.objects.states import TaskState
from swarmtui.store import Change, Store

TASKS_PER_DECISION = OPERATIONS_MAX // 2
"""At most one guard beside each assignment."""

SPREAD_PREFIX = "spread="


class Scheduler(Loop):
    """One key a task. Unlike its siblings it decides about many keys at once."""

    name: ClassVar[str] = "scheduler"
    tables: ClassVar[frozenset[str]] = frozenset({Task.TABLE, Node.TABLE, Cluster.TABLE})

    def __init__(self, store: Store, new_id: Callable[[], str]) -> None:
        super().__init__(store, new_id)
        self._ledger = Ledger()
        self._unplaced: set[str] = set()  # tasks that fitted nowhere when last tried

    def notice(self, change: Change, moment: Moment) -> None:
        match change.after or change.before:
            case Task() as task:
                self._notice_task(change.before, task, change.after is None, moment)
            case Node() as node:
                if change.after is None:
                    self._ledger.drop_node(node.id)
                else:
                    known = node.id in self._ledger.pages
                    self._ledger.put_node(node)
                    if not known:
                        for task in self.store.tasks(node_id=node.id):
                            self._ledger.put(task)
                self._try_unplaced()
            case Cluster():
                self._try_unplaced()

    def _notice_task(self, before: object, task: Task, removed: bool, moment: Moment) -> None:
        if removed:
            self._ledger.drop(task.id)
            self._unplaced.discard(task.id)
            self._try_unplaced()
            return
        if task.id in self._undecided and not task.node_id:
            return  # placed in the books; the change is of something else
        self._ledger.put(task)
        if isinstance(before, Task):
            if _failed(task) and not _failed(before) and (page := self._ledger.pages.get(task.node_id)) is not None:
                page.note_failure(_version(task), moment.now)
            if before.node_id and (is_tracked(before), is_active(before)) > (is_tracked(task), is_active(task)):
                self._try_unplaced()
        if _is_pending(task):
            if task.id not in self._unplaced:
                self.mark([task.id])
        else:
            self._unplaced.discard(task.id)

    def _try_unplaced(self) -> None:
        self.mark(sorted(self._unplaced))
        self._unplaced.clear()

    def look_at_everything(self, moment: Moment) -> None:
        self._ledger = Ledger()
        self._unplaced.clear()
        for node in self.store.all(Node):
            self._ledger.put_node(node)
        for task in self.store.tasks():
            self._ledger.put(task)
            if _is_pending(task):
                self.mark([task.id])

    def step(self, moment: Moment) -> list[Decision]:
        keys = self.take_dirty(moment)
        tasks = [task for key in keys if (task := self.store.get(Task, key)) is not None and _is_pending(task)]
        if not tasks or cluster_of(self.store).shutting_down:
            self._unplaced.update(task.id for task in tasks)
            return []
        groups: dict[Version, list[Task]] = {}
        decisions: list[Decision] = []
        for task in tasks:
            if task.node_id:
                decisions += self._confirm(task, moment)
            else:
                groups.setdefault(_version(task), []).append(task)
        for version, group in groups.items():
            decisions += self._place(version, sorted(group, key=lambda task: (task.slot, task.id)), moment)
        for decision in decisions:
            self._undecided.update(decision.keys)
        return decisions

    def settled(self, decision: Decision, verdict: Verdict | None, moment: Moment) -> None:
        super().settled(decision, verdict, moment)
        if verdict is Verdict.DONE:
            return
        for key in decision.keys:
            self._ledger.drop(key)
            task = self.store.get(Task, key)
            if task is not None:
                self._ledger.put(task)

    def _confirm(self, task: Task, moment: Moment) -> list[Decision]:
        """A task of a global service was made for its node; it waits there until it fits."""
        page = self._ledger.pages.get(task.node_id)
        if page is None:
            return self._explain([task], [], moment)
        page.drop(task.id)
        reason = refusal(page, task)
        page.put(task)
        if reason is not None:
            return self._explain([task], [reason], moment)
        return [self._assign([(task, page)], moment)]

    def _place(self, version: Version, group: list[Task], moment: Moment) -> list[Decision]:
        sample = group[0]
        pages = list(self._ledger.pages.values())
        placed: list[tuple[Task, NodeLedger]] = []

        def put(page: NodeLedger) -> None:
            task = group[len(placed)]
            self._ledger.put(_as_assigned(task, page.node.id))
            placed.append((task, page))

        place(
            len(group),
            pages,
            fits=lambda page: refusal(page, sample) is None,
            rank=lambda page: (page.penalty(version, moment.now), page.active_of(sample.service_id), page.active),
            load=lambda page: page.active_of(sample.service_id),
            levels=[_level(preference) for preference in sample.spec.placement.preferences],
            put=put,
        )
        decisions = [
            self._assign(placed[first : first + TASKS_PER_DECISION], moment)
            for first in range(0, len(placed), TASKS_PER_DECISION)
        ]
        left = group[len(placed) :]
        if left:
            reasons = [reason for page in pages if (reason := refusal(page, sample)) is not None]
            decisions += self._explain(left, reasons, moment)
        return decisions

    def _assign(self, placed: Sequence[tuple[Task, NodeLedger]], moment: Moment) -> Decision:
        nodes = {page.node.id: page.node for _, page in placed}
        guards = [Require(Node.TABLE, node.id, version=node.version) for node in nodes.values()]
        status = TaskStatus(TaskState.ASSIGNED, timestamp=moment.wall, message="assigned to a node")
        operations: list[Operation] = [*guards]
        operations += [
            Advance(task.id, status=status, node_id=None if task.node_id else page.node.id) for task, page in placed
        ]
        keys = tuple(task.id for task, _ in placed)
        return Decision(keys, tuple(operations), _say_assigned(placed))

    def _explain(self, tasks: list[Task], reasons: Iterable[Filter], moment: Moment) -> list[Decision]:
        """Writes why nothing fits into the tasks that do not say so yet."""
        error = explain(reasons)
        self._unplaced.update(task.id for task in tasks)
        unsaid = [task for task in tasks if task.status.error != error]
        decisions = []
        for first in range(0, len(unsaid), TASKS_PER_DECISION):
            some = unsaid[first : first + TASKS_PER_DECISION]
            operations = tuple(Advance(task.id, status=_still_pending(task, error, moment)) for task in some)
            decisions.append(Decision(tuple(task.id for task in some), operations))
        return decisions


def _is_pending(task: Task) -> bool:
    return task.status.state is TaskState.PENDING and task.desired_state <= TaskState.COMPLETE


def _still_pending(task: Task, error: str, moment: Moment) -> TaskStatus:
    """The same state with another reason: it replaces the stored one only with a later time."""
    later = max(moment.wall, task.status.timestamp + 1e-6)
    return TaskStatus(TaskState.PENDING, timestamp=later, message="pending task scheduling", error=error)


def _failed(task: Task) -> bool:
    return task.status.state in (TaskState.FAILED, TaskState.REJECTED)


def _version(task: Task) -> Version:
    return (task.service_id, task.service_spec_version)


def _as_assigned(task: Task, node_id: str) -> Task:
    return attrs.evolve(task, node_id=node_id)


def _level(preference: str) -> Callable[[NodeLedger], str]:
    descriptor = preference.removeprefix(SPREAD_PREFIX)
    return lambda page: value_of(page.node, descriptor) or ""


def _say_assigned(placed: Sequence[tuple[Task, NodeLedger]]) -> tuple[Narration, ...]:
    """One line for a whole group; a single assignment is told by the change itself."""
    if len(placed) == 1:
        return ()
    task = placed[0][0]
    counts = Counter(page.node.name for _, page in placed)
    spread = ", ".join(f"{count} on {name}" for name, count in sorted(counts.items()))
    text = f"{task.service_name}: {len(placed)} tasks scheduled, {spread}"
    data = {"name": task.service_name, "tasks": [task.id for task, _ in placed]}
    return (Narration("service", text, object=task.service_id, data=data),)
