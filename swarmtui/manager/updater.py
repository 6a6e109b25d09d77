"""Replaces tasks that are not what their service's spec asks for now, slot by slot (swarmkit manager/orchestrator/update).

The plan is made anew from the store at every look, so a new leader continues where the old one stopped:

    the slot holds                                        so
    one clean task that is up, nothing else               done
    a clean task that is up, and others                   the others are shut down
    a clean task that is not up yet, its first attempt    under way: counts against `parallelism`
    only outdated tasks                                   next in turn: a new task beside them (start-first), or in
                                                          their place, held until they have stopped (stop-first)
    only outdated tasks, and a clean one that used up     left alone until the spec changes
      its restarts

A slot whose new task ended is the restart policy's business and holds up nobody; only the update is not over while an old
task runs on beside it. Policies on failure (pause, continue,
rollback, monitor) are not there yet and have their room in `UpdatePlan.status`; a paused update is respected already.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from swarmtui.manager.reconciler import Narration
from swarmtui.manager.restart import cause_of, may_restart
from swarmtui.manager.slots import Slot, Slots, Step
from swarmtui.manager.tasks import has_ended, task_name, want_all
from swarmtui.objects.operations import Create, Operation
from swarmtui.objects.quantities import SECOND_NS
from swarmtui.objects.records import Service, Task, UpdateStatus
from swarmtui.objects.specs import UpdateConfig
from swarmtui.objects.states import TaskState, UpdateOrder, UpdateState

COMPLETED = {
    UpdateState.UPDATING: (UpdateState.COMPLETED, "update completed"),
    UpdateState.ROLLBACK_STARTED: (UpdateState.ROLLBACK_COMPLETED, "rollback completed"),
}
"""What ends each of those that are under way, in Docker's words."""


def is_under_way(service: Service) -> bool:
    """True from the first replacement of an update until its last slot holds what it should."""
    return service.update_status is not None and service.update_status.state.is_under_way


@attrs.frozen
class UpdatePlan:
    """What the update does now. `status` is the service's new update status, None: as it was."""

    steps: tuple[Step, ...] = ()
    status: UpdateStatus | None = None
    deadline: float | None = None


class Updater:
    """Of one orchestrator. Remembers only when slots were finished, for the delay between one and the next."""

    def __init__(self) -> None:
        self._finished_at: dict[tuple[str, int, str], float] = {}
        self._under_way: dict[str, set[tuple[int, str]]] = {}

    def forget(self, service_id: str) -> None:
        """Its update is over, as the store has it: one that a plan would end may go on, for the plan may come too late."""
        self._under_way.pop(service_id, None)
        for key in [key for key in self._finished_at if key[0] == service_id]:
            del self._finished_at[key]

    def plan(self, slots: Slots, present: Iterable[Slot], restarting: Iterable[Slot]) -> UpdatePlan:
        """`present`: the occupied slots that stay, in the order in which they are to be updated; without those in which a
        task is being restarted."""
        service = slots.service
        status = service.update_status
        if status is not None and status.state.is_paused:
            return UpdatePlan()
        config = _config(slots)
        steps: list[Step] = []
        waiting: list[Slot] = []
        busy: set[tuple[int, str]] = set()
        # Some slot still holds old and new.
        mixed = any(not slots.is_clean(task) for slot in restarting for task in _updatable(slot))
        for slot in present:
            clean = [task for task in _updatable(slot) if slots.is_clean(task)]
            outdated = [task for task in _updatable(slot) if not slots.is_clean(task)]
            if not clean:
                if not _is_exhausted(slots, slot):
                    waiting.append(slot)
                continue
            mixed = mixed or bool(outdated)
            surplus, settled = _surplus(clean, outdated, config)
            if surplus:
                steps.append(Step(want_all(surplus, TaskState.SHUTDOWN)))
            if not settled and _is_first_attempt(slots, slot):
                busy.add((slot.number, slot.node_id))
        if not waiting and not busy and not steps:
            return UpdatePlan(status=None if mixed else _completed(slots))
        if not waiting and not is_under_way(service):
            return UpdatePlan(tuple(steps))  # slots that are merely new, not updated
        free, deadline = self._free_workers(slots, config, busy, len(waiting))
        for slot in waiting[:free]:
            steps.append(_replace(slots, slot, config))
            busy.add((slot.number, slot.node_id))
        self._under_way[service.id] = busy
        return UpdatePlan(tuple(steps), _begun(slots) if waiting else None, deadline)

    def _free_workers(
        self, slots: Slots, config: UpdateConfig, busy: set[tuple[int, str]], waiting: int
    ) -> tuple[int, float | None]:
        """How many more slots may be taken on now, and when more may. A worker rests for `delay` after its slot."""
        if not config.parallelism:
            return waiting, None
        service_id, now = slots.service.id, slots.moment.now
        for number, node_id in self._under_way.get(service_id, set()) - busy:
            self._finished_at[(service_id, number, node_id)] = now
        resting: list[float] = []
        for key, finished_at in list(self._finished_at.items()):
            if key[0] != service_id:
                continue
            rested_at = finished_at + config.delay_ns / SECOND_NS
            if rested_at <= now:
                del self._finished_at[key]
            else:
                resting.append(rested_at)
        free = max(0, config.parallelism - len(busy) - len(resting))
        return free, min(resting, default=None) if waiting > free else None


def _config(slots: Slots) -> UpdateConfig:
    service = slots.service
    status = service.update_status
    rolling_back = status is not None and status.state.is_rollback
    return service.spec.rollback_config if rolling_back else service.spec.update_config


def _updatable(slot: Slot) -> tuple[Task, ...]:
    return slot.runnable or ((slot.finished,) if slot.finished is not None else ())


def _surplus(clean: list[Task], outdated: list[Task], config: UpdateConfig) -> tuple[list[Task], bool]:
    """Which tasks of a slot that has a clean one are too many, and whether the clean one is up (or had its chance)."""
    best = max(clean, key=lambda task: (not has_ended(task), task.status.state, -task.spec_version))
    surplus = [task for task in clean if task is not best]
    is_up = best.status.state >= TaskState.RUNNING
    if config.order is UpdateOrder.STOP_FIRST or best.status.state is TaskState.RUNNING:
        surplus += outdated
    return [task for task in surplus if task.desired_state <= TaskState.RUNNING], is_up


def _is_first_attempt(slots: Slots, slot: Slot) -> bool:
    return not any(has_ended(task) and slots.is_clean(task) for task in slot.tasks)


def _is_exhausted(slots: Slots, slot: Slot) -> bool:
    """A clean task was tried in this slot and may not be tried again; the outdated one is kept."""
    tried = [task for task in slot.tasks if slots.is_clean(task)]
    if not tried:
        return False
    cause = cause_of(tried[-1], slots.node(tried[-1].node_id))
    return cause is not None and not may_restart(tried[-1], cause, slot.tasks, slots.service, slots.cluster)


def _replace(slots: Slots, slot: Slot, config: UpdateConfig) -> Step:
    start_first = config.order is UpdateOrder.START_FIRST
    task = slots.next_task(slot, at_once=start_first)
    operations: tuple[Operation, ...] = (Create(task),)
    old = _updatable(slot)
    if not start_first:
        operations = (*want_all(old, TaskState.SHUTDOWN), Create(task))
    node = slots.node(old[0].node_id)
    how = "started before the old one stops" if start_first else "once the old one has stopped"
    text = f"{task_name(old[0], node)}: replaced by a task of the new spec, {how}"
    data = {"name": task.name, "service": slots.service.id, "replaces": old[0].id}
    return Step(operations, (Narration("task", text, object=task.id, data=data),))


def _begun(slots: Slots) -> UpdateStatus | None:
    status = slots.service.update_status
    if status is not None and status.state.is_under_way:
        return None
    return UpdateStatus(UpdateState.UPDATING, started_at=slots.moment.wall, message="update in progress")


def _completed(slots: Slots) -> UpdateStatus | None:
    status = slots.service.update_status
    if status is None or status.state not in COMPLETED:
        return None
    state, message = COMPLETED[status.state]
    return attrs.evolve(status, state=state, completed_at=slots.moment.wall, message=message)
