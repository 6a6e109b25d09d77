"""Keeps every replicated service at its wanted number of slots (swarmkit manager/orchestrator/replicated).

Too few: new tasks in the lowest free slot numbers. Too many: slots go that share their node with most others, of those
the ones that do not run, of those the highest numbers. Slots in which nothing can run and nothing will be restarted by
the policy stay occupied (a job that is done, a program that used up its attempts) until an update replaces them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

import attrs

from swarmtui.manager.nodes import is_invalid
from swarmtui.manager.reconciler import Decision, Moment, Narration, Reconciler, cluster_of
from swarmtui.manager.sizes import tasks_per_transaction
from swarmtui.manager.slots import Slot, Slots, Step
from swarmtui.manager.tasks import has_ended, want_all
from swarmtui.manager.updater import UpdatePlan, Updater, is_under_way
from swarmtui.objects.operations import OPERATIONS_MAX, Create, Operation, Require, Update
from swarmtui.objects.records import Cluster, Node, Service, Task
from swarmtui.objects.specs import ReplicatedMode
from swarmtui.objects.states import TaskState
from swarmtui.store import Change, Store

OPERATIONS_PER_TASK = 2


class Orchestrator(Reconciler):
    """What the replicated and the global orchestrator share: one key a service, and which changes concern them."""

    tables: ClassVar[frozenset[str]] = frozenset({Service.TABLE, Task.TABLE, Node.TABLE, Cluster.TABLE})

    def __init__(self, store: Store, new_id: Callable[[], str]) -> None:
        super().__init__(store, new_id)
        self._updater = Updater()
        self._ended_since: dict[str, float] = {}

    def notice(self, change: Change, moment: Moment) -> None:
        before, after = change.before, change.after
        match after or before:
            case Task() as task:
                if after is None:
                    self._ended_since.pop(task.id, None)
                if _matters(before, after) or (_came_up(before, after) and self._is_updated(task.service_id)):
                    self.mark([task.service_id])
            case Service() as service:
                if after is None or not is_under_way(service):
                    self._updater.forget(service.id)
                self.mark([service.id])
            case Node() as node:
                self.notice_node(before, after, node.id)
            case Cluster():
                if _settings(before) != _settings(after):
                    self.look_at_everything(moment)

    def _is_updated(self, service_id: str) -> bool:
        service = self.store.get(Service, service_id)
        return service is not None and is_under_way(service)

    def notice_node(self, before: object, after: object, node_id: str) -> None:
        was = before if isinstance(before, Node) else None
        now = after if isinstance(after, Node) else None
        if is_invalid(now) and not (was is not None and is_invalid(was)):
            self.mark(task.service_id for task in self.store.tasks(node_id=node_id))

    def look_at_everything(self, moment: Moment) -> None:
        self.mark(service.id for service in self.store.all(Service))
        self.mark(task.service_id for task in self.store.tasks())

    def slots(self, service: Service, moment: Moment) -> Slots:
        return Slots(self.store, service, cluster_of(self.store), moment, self.new_id, self._ended_since)

    def decision(self, service: Service, steps: Iterable[Step], plan: UpdatePlan) -> Decision | None:
        """One transaction of as many whole steps as fit, valid only while the service's spec is what it was."""
        each = tasks_per_transaction(service.spec.task_template, OPERATIONS_PER_TASK)
        operations: list[Operation] = []
        says: list[Narration] = []
        created = 0
        more = False
        for step in (*steps, *plan.steps):
            if step.deadline is not None:
                self.look_again_at(service.id, step.deadline)
            created += sum(isinstance(operation, Create) for operation in step.operations)
            room = OPERATIONS_MAX - 2 - len(operations)
            if operations and (len(step.operations) > room or created > each):
                more = True
                break
            more = more or len(step.operations) > room  # only removals of a long history are so many
            operations += step.operations[:room]
            says += step.says
        if plan.deadline is not None:
            self.look_again_at(service.id, plan.deadline)
        if plan.status is not None and not more:
            record = attrs.evolve(service, update_status=plan.status)
            operations.append(Update(record, version=service.version))
        elif operations:
            guard = Require(Service.TABLE, service.id, spec_version=service.spec_version)
            operations.insert(0, guard)
        if not operations:
            return None
        return Decision((service.id,), tuple(operations), tuple(says), more=more)


class ReplicatedOrchestrator(Orchestrator):
    name: ClassVar[str] = "replicated"

    def decide(self, key: str, moment: Moment) -> Decision | None:
        if cluster_of(self.store).shutting_down:
            return None
        service = self.store.get(Service, key)
        if service is None:
            return self._remove_all(key)
        if not isinstance(service.mode, ReplicatedMode):
            return None
        slots = self.slots(service, moment)
        grouped = slots.group(self.store.tasks(service_id=key))
        occupied = [slot for slot in grouped.values() if slot.occupied]
        kept, too_many = keep(occupied, service.mode.replicas, slots)
        steps = [slots.remove(slot) for slot in too_many]
        created, reused = self._fill(slots, grouped, service.mode.replicas - len(kept))
        steps += created
        steps += [
            slots.remove(slot)
            for slot in grouped.values()
            if slot.tasks and not slot.occupied and slot.number not in reused
        ]
        restarts = [slots.restart(slot) for slot in kept]
        present: list[Slot] = []
        restarting: list[Slot] = []
        for slot, step in zip(kept, restarts, strict=True):
            (restarting if step.operations else present).append(slot)
        plan = self._updater.plan(slots, present, restarting)
        return self.decision(service, [*steps, *restarts], plan)

    def _fill(self, slots: Slots, grouped: dict[tuple[int, str], Slot], missing: int) -> tuple[list[Step], set[int]]:
        """New tasks in the lowest numbers that no slot occupies."""
        taken = {slot.number for slot in grouped.values() if slot.occupied}
        steps: list[Step] = []
        used: set[int] = set()
        number = 0
        while len(steps) < missing:
            number += 1
            if number in taken:
                continue
            used.add(number)
            slot = grouped.get((number, "")) or Slot(number, "", (), (), (), None)
            steps.append(Step((Create(slots.next_task(slot)),)))
        return steps, used

    def _remove_all(self, service_id: str) -> Decision | None:
        tasks = [task for task in self.store.tasks(service_id=service_id) if task.desired_state < TaskState.REMOVE]
        if not tasks:
            return None
        operations = want_all(tasks[:OPERATIONS_MAX], TaskState.REMOVE)
        return Decision((service_id,), operations, more=len(tasks) > OPERATIONS_MAX)


def keep(occupied: list[Slot], wanted: int, slots: Slots) -> tuple[list[Slot], list[Slot]]:
    """Which slots stay and which go when there are too many. Keepers first: sorted by running, then by number; then each
    slot is the n-th copy on its node and lower n stay, so the fullest nodes give up theirs first. A slot with more than
    one task, or without a node, comes last."""
    by_number = sorted(occupied, key=lambda slot: slot.number)
    if len(occupied) <= wanted:
        return by_number, []
    copies: dict[str, int] = {}

    def copy_on_node(slot: Slot) -> float:
        tasks = [task for task in slot.runnable if not slots.is_lost(task)]
        if len(tasks) != 1 or not tasks[0].node_id:
            return float("inf")
        copies[tasks[0].node_id] = nth = copies.get(tasks[0].node_id, 0) + 1
        return nth

    def is_running(slot: Slot) -> bool:
        return any(task.status.state is TaskState.RUNNING and not slots.is_lost(task) for task in slot.runnable)

    ordered = sorted(by_number, key=lambda slot: not is_running(slot))
    ranked = sorted(((copy_on_node(slot), position) for position, slot in enumerate(ordered)))
    chosen = [ordered[position] for _, position in ranked]
    return sorted(chosen[:wanted], key=lambda slot: slot.number), chosen[wanted:]


def _matters(before: object, after: object) -> bool:
    """Whether a change of a task can change what its service needs. Its way up to RUNNING cannot, outside of updates."""
    if not isinstance(before, Task) or not isinstance(after, Task):
        return True
    return (
        before.desired_state is not after.desired_state
        or before.node_id != after.node_id
        or has_ended(before) is not has_ended(after)
    )


def _came_up(before: object, after: object) -> bool:
    return (
        isinstance(before, Task)
        and isinstance(after, Task)
        and before.status.state < TaskState.RUNNING <= after.status.state
    )


def _settings(cluster: object) -> tuple[object, ...]:
    if not isinstance(cluster, Cluster):
        return ()
    return (cluster.shutting_down, cluster.restart_delay_s, cluster.restart_delay_after_death_s)
