"""Changes of the store as events: what happened to nodes, services and tasks, one line each.

Only the leader tells them, from its own store, so that each is told once; another manager that takes over goes on from
its own first entry.

That a task runs or has ended is told by its node's agent too, which needs no leader for it. Both are told, for each is held
in memory alone and may be all that is left: the agent's when the leader dies, the leader's when the node does. The agent
says what happened; the leader says that it is in the store now.
"""

from __future__ import annotations

from collections.abc import Callable

from swarmtui.node.bell import Bell
from swarmtui.node.events import Events
from swarmtui.objects.records import Node, Record, Service, Task
from swarmtui.objects.specs import ReplicatedMode
from swarmtui.objects.states import TaskState
from swarmtui.store import Change, Resync, Store

TOLD_BY_AGENTS = frozenset(
    {TaskState.RUNNING, TaskState.COMPLETE, TaskState.SHUTDOWN, TaskState.FAILED, TaskState.REJECTED}
)
"""States that the agent of the task's node tells as it enters them."""


async def chronicle(store: Store, events: Events, term: int) -> None:
    """Tell every change from now on, until cancelled."""
    bell = Bell()
    watch = store.watch(tables=[cls.TABLE for cls in _TELLERS])
    watch.wake = bell.ring
    try:
        while True:
            changes = watch.take()
            if isinstance(changes, Resync):
                events.tell("gap", "changes came faster than they could be told", term=term, index=store.index)
            elif not changes:
                await bell.heard()
            else:
                for change in changes:
                    _tell(store, events, term, change)
    finally:
        watch.close()


def _tell(store: Store, events: Events, term: int, change: Change) -> None:
    record = change.after or change.before
    teller = _TELLERS.get(type(record)) if record is not None else None
    text = teller(store, change.before, change.after) if teller else ""
    if text and record is not None:
        name = getattr(record, "name", record.id)
        events.tell(record.TABLE, text, term=term, index=change.index, object=record.id, data={"name": name})


def _node(_store: Store, before: Record | None, after: Record | None) -> str:
    if not isinstance(after, Node):
        return f"node {before.name} removed" if isinstance(before, Node) else ""
    if not isinstance(before, Node):
        return f"node {after.name} created, {after.role}"
    if before.status.state is not after.status.state:
        why = f": {after.status.message}" if after.status.message else ""
        return f"node {after.name} {before.status.state} → {after.status.state}{why}"
    if before.spec.availability is not after.spec.availability:
        return f"node {after.name} availability {before.spec.availability} → {after.spec.availability}"
    return ""


def _replicas(service: Service) -> str:
    return str(service.mode.replicas) if isinstance(service.mode, ReplicatedMode) else "every node"


def _service(_store: Store, before: Record | None, after: Record | None) -> str:
    if not isinstance(after, Service):
        return f"service {before.name} removed" if isinstance(before, Service) else ""
    if not isinstance(before, Service):
        return f"service {after.name} created, replicas {_replicas(after)}"
    if _replicas(before) != _replicas(after):
        return f"service {after.name} scaled {_replicas(before)} → {_replicas(after)}"
    if before.spec != after.spec:
        return f"service {after.name} updated"
    if before.update_status != after.update_status and after.update_status is not None:
        return f"service {after.name} {after.update_status.state}: {after.update_status.message}".rstrip(": ")
    return ""


def task_name(store: Store, task: Task) -> str:
    """`web.2`, or for a global service `agent.n3`, as `ps` writes it."""
    node = store.get(Node, task.node_id)
    return task.name_on(node.name if node else "")


def _task(store: Store, before: Record | None, after: Record | None) -> str:
    if not isinstance(after, Task):
        return ""
    was = before.status.state if isinstance(before, Task) else None
    if was is after.status.state:
        if isinstance(before, Task) and after.status.error and before.status.error != after.status.error:
            return f"task {task_name(store, after)} {after.status.state.word.lower()}: {after.status.error}"
        return ""
    node = store.get(Node, after.node_id) if after.node_id else None
    where = f" on {node.name}" if node and after.slot else ""
    why = f": {after.status.error}" if after.status.error else ""
    pid = f" pid {after.status.pid}" if after.status.state is TaskState.RUNNING and after.status.pid else ""
    recorded = "recorded as " if after.status.state in TOLD_BY_AGENTS else ""
    return f"task {task_name(store, after)} {recorded}{after.status.state.word.lower()}{where}{pid}{why}"


_TELLERS: dict[type[Record], Callable[[Store, Record | None, Record | None], str]] = {
    Node: _node,
    Service: _service,
    Task: _task,
}
