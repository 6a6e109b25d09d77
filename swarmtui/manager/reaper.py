"""Deletes tasks nobody needs any more (swarmkit manager/orchestrator/taskreaper).

    key                     deletes
    a task being removed    it, once it has stopped or never reached a node
    an orphan               it, if its service is gone
    a slot                  its oldest ended tasks beyond the history limit

The limit counts all tasks of the slot, the living one included, and is retroactive: lowering it prunes at once (in
swarmkit it does not). A slot keeps as many tasks as its restart policy needs to count attempts; one in which nothing is to
run any more also keeps its newest, which says that it is finished.
Each removal names the version it saw, so that a task that is assigned meanwhile is not deleted under its agent.
"""

from __future__ import annotations

from typing import ClassVar

from swarmtui.manager.reconciler import Decision, Moment, Reconciler, cluster_of
from swarmtui.manager.tasks import SlotKey, creation_order, has_ended, is_runnable, slot_key, slot_tasks
from swarmtui.objects.operations import OPERATIONS_MAX, Remove
from swarmtui.objects.records import Cluster, Service, Task
from swarmtui.objects.states import TaskState
from swarmtui.store import Change

SLOT = "slot"
TASK = "task"


class Reaper(Reconciler):
    """Two kinds of keys: `task|id` and `slot|service|number|node`."""

    name: ClassVar[str] = "reaper"
    tables: ClassVar[frozenset[str]] = frozenset({Task.TABLE, Service.TABLE, Cluster.TABLE})

    def notice(self, change: Change, moment: Moment) -> None:
        match change.after or change.before:
            case Task() as task if change.after is not None:
                if is_removable(task):
                    self.mark([_task_key(task)])
                elif _adds_history(change.before, task):
                    self.mark([_slot_key(task)])
            case Service() as service:
                before = change.before
                if not isinstance(before, Service) or _attempts(before) != _attempts(service) or change.after is None:
                    self._look_at(list(self.store.tasks(service_id=service.id)))
            case Cluster() as cluster:
                before = change.before
                if not isinstance(before, Cluster) or before.task_history_limit != cluster.task_history_limit:
                    self.look_at_everything(moment)

    def look_at_everything(self, moment: Moment) -> None:
        self._look_at(list(self.store.tasks()))

    def _look_at(self, tasks: list[Task]) -> None:
        self.mark(_task_key(task) for task in tasks if is_removable(task) or task.status.state is TaskState.ORPHANED)
        self.mark({_slot_key(task): None for task in tasks})

    def decide(self, key: str, moment: Moment) -> Decision | None:
        kind, _, rest = key.partition("|")
        victims = self._single(rest) if kind == TASK else self._overflow(rest)
        if not victims:
            return None
        operations = tuple(Remove(Task.TABLE, task.id, version=task.version) for task in victims[:OPERATIONS_MAX])
        return Decision((key,), operations, more=len(victims) > OPERATIONS_MAX)

    def _single(self, task_id: str) -> list[Task]:
        task = self.store.get(Task, task_id)
        if task is None:
            return []
        is_orphan = task.status.state is TaskState.ORPHANED and self.store.get(Service, task.service_id) is None
        return [task] if is_orphan or is_removable(task) else []

    def _overflow(self, rest: str) -> list[Task]:
        service_id, number, node_id = rest.split("|")
        slot: SlotKey = (service_id, int(number), node_id)
        limit = self._limit(service_id)
        tasks = slot_tasks(self.store, slot)
        if limit < 0 or len(tasks) <= limit:
            return []
        by_age = sorted(tasks, key=creation_order)
        occupied = any(map(is_runnable, tasks))
        history = [task for task in (by_age if occupied else by_age[:-1]) if _is_history(task)]
        return history[: len(tasks) - limit]

    def _limit(self, service_id: str) -> int:
        limit = cluster_of(self.store).task_history_limit
        service = self.store.get(Service, service_id)
        attempts = _attempts(service) if service is not None else 0
        return max(limit, attempts + 1) if limit >= 0 and attempts else limit


def is_removable(task: Task) -> bool:
    """Being removed, and nothing of it can be running."""
    return task.desired_state >= TaskState.REMOVE and (
        task.status.state < TaskState.ASSIGNED or task.status.state >= TaskState.COMPLETE
    )


def _is_history(task: Task) -> bool:
    """It can never run (again), and no orchestrator is still to react to its end."""
    return not is_runnable(task) and (has_ended(task) or task.status.state < TaskState.ASSIGNED)


def _adds_history(before: object, task: Task) -> bool:
    """A slot is looked at when a task is added to it, and when one becomes history."""
    return not isinstance(before, Task) or (_is_history(task) and not _is_history(before))


def _attempts(service: Service) -> int:
    return service.spec.task_template.restart_policy.max_attempts


def _task_key(task: Task) -> str:
    return f"{TASK}|{task.id}"


def _slot_key(task: Task) -> str:
    service_id, number, node_id = slot_key(task)
    return f"{SLOT}|{service_id}|{number}|{node_id}"
