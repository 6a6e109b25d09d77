"""What is true of a task, and how one is made. Leaf functions: records in, answers out.

Two orders of states run through everything (objects.states): what was *observed* and what is *desired*; both only rise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from swarmtui.manager.allocator import allocated
from swarmtui.objects.operations import Advance
from swarmtui.objects.records import NODE_WAS_RESTARTED, Node, Service, Task
from swarmtui.objects.specs import Placement
from swarmtui.objects.states import TaskState
from swarmtui.store import Store

ENDED_BY_ITSELF = frozenset({TaskState.COMPLETE, TaskState.FAILED, TaskState.REJECTED})
"""Ends that nobody ordered. SHUTDOWN was ordered, or the node was stopped under the task; ORPHANED is unknown."""


def is_runnable(task: Task) -> bool:
    """Meant to run, now or soon: this is what occupies a slot."""
    return task.desired_state <= TaskState.RUNNING


def has_ended(task: Task) -> bool:
    return task.status.state.is_terminal


def died_with_its_node(task: Task) -> bool:
    """Its agent says so, having come back before the node was found to be Down."""
    return task.status.state is TaskState.FAILED and task.status.error == NODE_WAS_RESTARTED


def ended_by_itself(task: Task) -> bool:
    return task.status.state in ENDED_BY_ITSELF and not died_with_its_node(task)


def was_assigned(task: Task) -> bool:
    """An agent knows of it, or is about to."""
    return bool(task.node_id) and task.status.state >= TaskState.ASSIGNED


def is_stopped(task: Task, node_is_gone: bool) -> bool:
    """No process of it can be running: it ended, never reached an agent, or lost its node."""
    return has_ended(task) or not was_assigned(task) or node_is_gone


def creation_order(task: Task) -> tuple[int, str]:
    """Sorts the tasks of a slot by age: a task's spec is written once, when it is created."""
    return (task.spec_version, task.id)


SlotKey = tuple[str, int, str]
"""Service id, number, node id; of a replicated service the node id is empty, of a global one the number is 0."""


def slot_key(task: Task) -> SlotKey:
    return (task.service_id, task.slot, "" if task.slot else task.node_id)


def slot_tasks(store: Store, key: SlotKey) -> Sequence[Task]:
    """Everything the slot holds, history and all."""
    service_id, number, node_id = key
    if number:
        return store.tasks(service_id=service_id, slot=number)
    return store.tasks(service_id=service_id, node_id=node_id)


def new_task(
    service: Service, id: str, *, slot: int, node_id: str, history: Iterable[Task], desired: TaskState, wall: float
) -> Task:
    """The next task of a slot. `history`: what the slot has held, from which it inherits the wish for the same port."""
    last_port = 0
    for task in sorted(history, key=creation_order):
        last_port = task.status.port or task.port_hint or last_port
    return Task(
        id=id,
        service_id=service.id,
        service_name=service.name,
        slot=slot,
        node_id=node_id,
        spec=service.spec.task_template,
        service_spec_version=service.spec_version,
        ports=service.spec.endpoint_spec.ports,
        port_hint=last_port,
        status=allocated(wall),
        desired_state=desired,
    )


def want(task: Task, desired: TaskState) -> tuple[Advance, ...]:
    """The operation that raises the task's desired state; nothing if it is there or beyond."""
    return (Advance(task_id=task.id, desired_state=desired),) if task.desired_state < desired else ()


def want_all(tasks: Sequence[Task], desired: TaskState) -> tuple[Advance, ...]:
    return tuple(operation for task in tasks for operation in want(task, desired))


def why_ended(task: Task) -> str:
    """How it ended, in the words that events use: `exit status 1`."""
    status = task.status
    if status.state is TaskState.FAILED and status.exit_code:
        return f"exit status {status.exit_code}"
    if status.state is TaskState.REJECTED:
        return f"rejected: {status.error}" if status.error else "rejected"
    if status.state is TaskState.COMPLETE:
        return "completed"
    if status.state is TaskState.SHUTDOWN:
        return "its node was stopped"
    return status.error or status.state.word.lower()


def task_name(task: Task, node: Node | None = None) -> str:
    """`web.2`, or `agent on n3` for a task of a global service: events are sentences, and say it so on purpose
    where lists show the name `agent.n3` (Task.name_on)."""
    if task.slot:
        return task.name
    return f"{task.service_name} on {node.name if node is not None else task.node_id}"


def placement_of(service: Service | None, task: Task) -> Placement:
    """The constraints that count now: the service's, or its own if the service is gone."""
    return service.spec.task_template.placement if service is not None else task.spec.placement
