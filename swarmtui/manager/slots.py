"""Slots: the tasks of a service grouped by the place they take, and what each slot needs next (swarmkit manager/orchestrator).

The slot of a replicated service is its number, that of a global one its node. Both orchestrators ask here what to do with
a slot's ended and lost tasks; they differ in which slots there should be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from swarmtui.manager.nodes import is_down
from swarmtui.manager.reconciler import Moment, Narration
from swarmtui.manager.restart import Cause, attempts_before, cause_of, delay_s, may_restart
from swarmtui.manager.tasks import (
    creation_order,
    is_runnable,
    is_stopped,
    new_task,
    task_name,
    want,
    want_all,
    why_ended,
)
from swarmtui.objects.matching import is_clean
from swarmtui.objects.operations import Create, Operation
from swarmtui.objects.records import Cluster, Node, Service, Task
from swarmtui.objects.states import TaskState
from swarmtui.store import Store


@attrs.frozen(eq=False)
class Slot:
    """`tasks` by age without those being removed; `leaving` are those. `finished` is the newest task of a slot that has
    nothing runnable and is not to be restarted: it goes on occupying the slot until an update replaces it."""

    number: int
    node_id: str
    tasks: tuple[Task, ...]
    leaving: tuple[Task, ...]
    runnable: tuple[Task, ...]
    finished: Task | None

    @property
    def occupied(self) -> bool:
        return bool(self.runnable) or self.finished is not None

    @property
    def everything(self) -> tuple[Task, ...]:
        return self.tasks + self.leaving


@attrs.frozen
class Step:
    """What one slot needs: operations that belong together, what to tell, and when to look again if nothing changes."""

    operations: tuple[Operation, ...] = ()
    says: tuple[Narration, ...] = ()
    deadline: float | None = None


class Slots:
    """The slots of one service at one moment, as the store has them, with the tools to change them."""

    def __init__(
        self,
        store: Store,
        service: Service,
        cluster: Cluster,
        moment: Moment,
        new_id: Callable[[], str],
        ended_since: dict[str, float],
    ) -> None:
        self.service = service
        self.cluster = cluster
        self.moment = moment
        self._store = store
        self._new_id = new_id
        self._ended_since = ended_since
        self._nodes: dict[str, Node | None] = {}

    def node(self, node_id: str) -> Node | None:
        if node_id not in self._nodes:
            self._nodes[node_id] = self._store.get(Node, node_id) if node_id else None
        return self._nodes[node_id]

    def group(self, tasks: Iterable[Task]) -> dict[tuple[int, str], Slot]:
        """By (number, node id), of which one is empty."""
        by_slot: dict[tuple[int, str], list[Task]] = {}
        for task in tasks:
            by_slot.setdefault((task.slot, "" if task.slot else task.node_id), []).append(task)
        return {key: self._slot(key, found) for key, found in by_slot.items()}

    def _slot(self, key: tuple[int, str], found: list[Task]) -> Slot:
        if len(found) > 1:
            found.sort(key=creation_order)
        staying = tuple(task for task in found if task.desired_state < TaskState.REMOVE)
        runnable = tuple(task for task in staying if is_runnable(task))
        finished = None
        if staying and not runnable:
            newest = staying[-1]
            cause = cause_of(newest, self.node(newest.node_id)) or Cause.STOPPED
            if not may_restart(newest, cause, staying, self.service, self.cluster):
                finished = newest
        leaving = tuple(task for task in found if task.desired_state >= TaskState.REMOVE)
        return Slot(key[0], key[1], staying, leaving, runnable, finished)

    def is_lost(self, task: Task) -> bool:
        return cause_of(task, self.node(task.node_id)) is not None

    def restart(self, slot: Slot) -> Step:
        """Replaces the runnable tasks of the slot that ended or lost their node, as the policy says."""
        needing = [(task, cause) for task in slot.runnable if (cause := cause_of(task, self.node(task.node_id)))]
        if not needing:
            return Step()
        alive = any(not self.is_lost(task) for task in slot.runnable)
        operations: list[Operation] = []
        says: list[Narration] = []
        deadline: float | None = None
        for task, cause in needing:
            wait_until = self._held_back_until(task, cause)
            if wait_until > self.moment.now:
                deadline = wait_until if deadline is None else min(deadline, wait_until)
                continue
            operations += want(task, TaskState.SHUTDOWN)
            if alive and not self._is_new_attempt(task, slot):
                continue  # another task already has the slot
            if not may_restart(task, cause, slot.tasks, self.service, self.cluster):
                says.append(self._say_finished(task, cause, slot))
                continue
            delay = (
                0.0
                if self._was_held_back(task)
                else delay_s(cause, self.node(task.node_id), self.service, self.cluster)
            )
            operations.append(Create(self.next_task(slot, delay_s=delay)))
            says.append(self._say_restart(task, cause, slot, delay))
            alive = True
        return Step(tuple(operations), tuple(says), deadline)

    def _is_new_attempt(self, task: Task, slot: Slot) -> bool:
        """During a start-first update the new task may fail while the old one runs on: then the new one is tried again."""
        return self.is_clean(task) and not any(self.is_clean(other) for other in slot.runnable if other.id != task.id)

    def is_clean(self, task: Task) -> bool:
        return is_clean(task, self.service, self.node(task.node_id))

    def _was_held_back(self, task: Task) -> bool:
        return task.id in self._ended_since

    def _held_back_until(self, task: Task, cause: Cause) -> float:
        """A task that ended by itself while it was still waiting to be started (rejected, say) would be replaced in a
        tight loop; its replacement is made only after the delay."""
        if cause is not Cause.ENDED or task.desired_state is not TaskState.READY:
            return self.moment.now
        since = self._ended_since.setdefault(task.id, self.moment.now)
        return since + delay_s(cause, self.node(task.node_id), self.service, self.cluster)

    def next_task(self, slot: Slot, *, delay_s: float = 0.0, at_once: bool = False) -> Task:
        """The slot's next task. It is made to run at once only if nothing of the slot can still be running and there is
        no delay; else it is prepared (READY) and released later. `at_once` is start-first."""
        others_stopped = all(is_stopped(task, is_down(self.node(task.node_id))) for task in slot.everything)
        desired = TaskState.RUNNING if at_once or (others_stopped and not delay_s) else TaskState.READY
        return new_task(
            self.service,
            self._new_id(),
            slot=slot.number,
            node_id=slot.node_id,
            history=slot.everything,
            desired=desired,
            wall=self.moment.wall,
        )

    def leave(self, slot: Slot) -> Step:
        """Shuts the slot's tasks down where none may be: its node is down, drained, or does not fit any more."""
        causes = [(task, cause_of(task, self.node(task.node_id))) for task in slot.runnable]
        says = [self._say_leaves(task, cause) for task, cause in causes if cause in (Cause.LOST, Cause.DRAINED)]
        return Step(want_all(slot.runnable, TaskState.SHUTDOWN), tuple(says))

    def remove(self, slot: Slot) -> Step:
        return Step(want_all(slot.tasks, TaskState.REMOVE))

    def _say_restart(self, task: Task, cause: Cause, slot: Slot, delay: float) -> Narration:
        node = self.node(task.node_id)
        where = self._where(task)
        name = task_name(task, node)
        match cause:
            case Cause.ENDED:
                limit = self.service.spec.task_template.restart_policy.max_attempts
                count = self._attempts_before(task, slot) + 1
                attempt = f"restart {count} of {limit}" if limit else "restart"
                text = f"{name}: {attempt} after {why_ended(task)} on {where}, in {delay:g} s"
            case Cause.STOPPED:
                text = f"{name}: restart, {why_ended(task)}"
            case Cause.LOST:
                text = f"{name} moves: {where} is down" if is_down(node) else f"{name}: restart, {where} was restarted"
            case Cause.DRAINED:
                text = f"{name} moves: {where} is drained"
        return self._narration(text, task, cause)

    def _say_leaves(self, task: Task, cause: Cause) -> Narration:
        node = self.node(task.node_id)
        where = self._where(task)
        if cause is Cause.DRAINED:
            how = f"stops: {where} is drained"
        else:
            how = f"is lost: {where} {'is down' if is_down(node) else 'was restarted'}"
        return self._narration(f"{task_name(task, node)} {how}", task, cause)

    def _say_finished(self, task: Task, cause: Cause, slot: Slot) -> Narration:
        policy = self.service.spec.task_template.restart_policy
        why = f"restart condition {policy.condition.value}"
        if policy.max_attempts and self._attempts_before(task, slot) >= policy.max_attempts:
            why = f"all {policy.max_attempts} restart attempts used"
        name = task_name(task, self.node(task.node_id))
        return self._narration(f"{name} is not restarted ({why}): {why_ended(task)}", task, cause)

    def _attempts_before(self, task: Task, slot: Slot) -> int:
        return attempts_before(task, slot.tasks, self.service, self.cluster)

    def _where(self, task: Task) -> str:
        node = self.node(task.node_id)
        return node.name if node is not None else task.node_id or "its node"

    def _narration(self, text: str, task: Task, cause: Cause) -> Narration:
        data = {"name": task.name, "service": task.service_id, "node": task.node_id, "cause": cause.value}
        return Narration("task", text, object=task.id, data=data)
