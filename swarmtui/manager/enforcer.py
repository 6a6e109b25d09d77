"""Sends away tasks that no longer fit their node after the node changed (swarmkit manager/orchestrator/constraintenforcer).

Only on nodes that are active. A task whose service's constraints the node no longer meets, or whose reservation no longer
fits into what the node has (the youngest go first; swarmkit takes any), is marked REJECTED with the reason; its
orchestrator then replaces it elsewhere under the restart policy, and its agent is told to stop it.
"""

from __future__ import annotations

from typing import ClassVar

from swarmtui.manager.reconciler import Decision, Moment, Narration, Reconciler, cluster_of
from swarmtui.manager.tasks import creation_order, placement_of, task_name
from swarmtui.objects.constraints import satisfies
from swarmtui.objects.operations import OPERATIONS_MAX, Advance, Require
from swarmtui.objects.records import Node, Service, Task, TaskStatus
from swarmtui.objects.states import Availability, TaskState
from swarmtui.store import Change

DOES_NOT_FIT = "its node no longer satisfies the placement constraints"
NO_ROOM = "its node no longer has the CPU or memory it reserves"


class Enforcer(Reconciler):
    """One key a node."""

    name: ClassVar[str] = "enforcer"
    tables: ClassVar[frozenset[str]] = frozenset({Node.TABLE})

    def notice(self, change: Change, moment: Moment) -> None:
        if isinstance(change.after, Node) and (
            not isinstance(change.before, Node) or _bearings(change.before) != _bearings(change.after)
        ):
            self.mark([change.after.id])

    def look_at_everything(self, moment: Moment) -> None:
        self.mark(node.id for node in self.store.all(Node))

    def decide(self, key: str, moment: Moment) -> Decision | None:
        node = self.store.get(Node, key)
        if node is None or node.spec.availability is not Availability.ACTIVE or cluster_of(self.store).shutting_down:
            return None
        victims = self._victims(node)
        if not victims:
            return None
        operations: list[Advance | Require] = [Require(Node.TABLE, node.id, version=node.version)]
        says: list[Narration] = []
        for task, error in victims[: OPERATIONS_MAX - 1]:
            status = TaskStatus(
                TaskState.REJECTED, timestamp=moment.wall, message="rejected by its manager", error=error
            )
            operations.append(Advance(task.id, status=status))
            text = f"{task_name(task, node)} must leave {node.name}: {error}"
            says.append(Narration("task", text, object=task.id, data={"name": task.name, "node": node.id}))
        return Decision((key,), tuple(operations), tuple(says), more=len(victims) > OPERATIONS_MAX - 1)

    def _victims(self, node: Node) -> list[tuple[Task, str]]:
        total = node.description.resources
        nano_cpus = memory_bytes = 0
        victims: list[tuple[Task, str]] = []
        services: dict[str, Service | None] = {}
        for task in sorted(self.store.tasks(node_id=node.id), key=creation_order):
            if not _is_held(task):
                continue
            if task.service_id not in services:
                services[task.service_id] = self.store.get(Service, task.service_id)
            reserved = task.spec.resources.reservations
            if not satisfies(node, placement_of(services[task.service_id], task)):
                victims.append((task, DOES_NOT_FIT))
            elif (reserved.nano_cpus and nano_cpus + reserved.nano_cpus > total.nano_cpus) or (
                reserved.memory_bytes and memory_bytes + reserved.memory_bytes > total.memory_bytes
            ):
                victims.append((task, NO_ROOM))
            else:
                nano_cpus += reserved.nano_cpus
                memory_bytes += reserved.memory_bytes
        return victims


def _is_held(task: Task) -> bool:
    """Placed on its node, and meant to stay."""
    return (
        TaskState.ASSIGNED <= task.desired_state <= TaskState.COMPLETE
        and TaskState.ASSIGNED <= task.status.state < TaskState.COMPLETE
    )


def _bearings(node: Node) -> tuple[object, ...]:
    """Everything about a node that constraints and reservations look at."""
    return (
        node.spec.availability,
        node.spec.labels,
        node.spec.name,
        node.role,
        node.description,
        node.status.address,
    )
