"""Docker's tables of nodes, services and tasks: which columns, which JSON keys, which words. Pure.

Sources of the words: docker/cli cli/command/{node,service,task}/formatter.go of version 28. Where a table shows something
else than JSON (an indented name, a marked id), it is in the row's `cells`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from swarmtui.commands.effects import LIVE_MANAGER_STATES
from swarmtui.commands.output import Column, Listing, Row
from swarmtui.commands.words import ago, mode_word, port_words, short_id
from swarmtui.objects.counting import down_nodes, replica_counts
from swarmtui.objects.records import Node, Service, Task
from swarmtui.objects.states import TaskState

if TYPE_CHECKING:
    from swarmtui.commands.ports import StatusView

STALE = {"Stale": True}

NODE_COLUMNS = (
    Column("ID", "ID"),
    Column("HOSTNAME", "Hostname"),
    Column("STATUS", "Status"),
    Column("AVAILABILITY", "Availability"),
    Column("MANAGER STATUS", "ManagerStatus"),
    Column("ENGINE VERSION", "EngineVersion"),
)
SERVICE_COLUMNS = (
    Column("ID", "ID"),
    Column("NAME", "Name"),
    Column("MODE", "Mode"),
    Column("REPLICAS", "Replicas"),
    Column("IMAGE", "Image"),
    Column("PORTS", "Ports"),
)
TASK_COLUMNS = (
    Column("ID", "ID"),
    Column("NAME", "Name"),
    Column("IMAGE", "Image"),
    Column("NODE", "Node"),
    Column("DESIRED STATE", "DesiredState"),
    Column("CURRENT STATE", "CurrentState"),
    Column("ERROR", "Error", shrinks=True),
    Column("PORTS", "Ports"),
)


@attrs.frozen
class Shown:
    """How rows are written: the time they are seen at, whether ids are cut, whether the state may be old."""

    now: float
    no_trunc: bool = False
    stale: bool = False

    @property
    def marks(self) -> Mapping[str, Any]:
        return STALE if self.stale else {}


def node_listing(nodes: Iterable[Node], status: StatusView, shown: Shown, answering: str = "") -> Listing:
    """`node ls`. `answering` is the id of the node that answered, docker's "self"."""
    rows = []
    for node in sorted(nodes, key=lambda node: natural(node.name)):
        is_self = node.id == answering
        values = {
            "ID": node.id,
            "Hostname": node.name,
            "Status": node.status.state.value.capitalize(),
            "Availability": node.spec.availability.value.capitalize(),
            "ManagerStatus": manager_status(node, status),
            "Self": is_self,
            "EngineVersion": node.description.engine_version,
            **shown.marks,
        }
        rows.append(Row(values, {"ID": f"{node.id} *" if is_self else node.id}))
    return Listing(NODE_COLUMNS, rows)


def manager_status(node: Node, status: StatusView) -> str:
    """Leader, Reachable or Unreachable; nothing for a worker."""
    seen = next((entry for entry in status.nodes if entry.id == node.id), None)
    if seen is None or seen.role != "manager":
        return ""
    if seen.name == status.leader:
        return "Leader"
    return "Reachable" if seen.state in (*LIVE_MANAGER_STATES, "learner") else "Unreachable"


def service_listing(services: Iterable[Service], tasks: Sequence[Task], nodes: Iterable[Node], shown: Shown) -> Listing:
    """`service ls`."""
    down = down_nodes(nodes)
    rows = []
    for service in sorted(services, key=lambda service: natural(service.name)):
        own = [task for task in tasks if task.service_id == service.id]
        values = {
            "ID": short_id(service.id, shown.no_trunc),
            "Name": service.name,
            "Mode": mode_word(service.mode),
            "Replicas": replicas_words(service, own, down),
            "Image": service.spec.task_template.container_spec.image,
            "Ports": port_words(service.spec.endpoint_spec),
            **shown.marks,
        }
        rows.append(Row(values))
    return Listing(SERVICE_COLUMNS, rows)


def replicas_words(service: Service, own: Iterable[Task], down: Collection[str] = ()) -> str:
    """`3/5`, `3/5 (max 2 per node)`."""
    running, wanted = replica_counts(service, own, down)
    most = service.spec.task_template.placement.max_replicas
    return f"{running}/{wanted}" + (f" (max {most} per node)" if most else "")


def task_listing(tasks: Iterable[Task], nodes: Iterable[Node], shown: Shown, *, resolve: bool = True) -> Listing:
    """`service ps`, `node ps`, `ps`: by name, what is to run before what is over, newest first, all but the first
    of a slot indented."""
    tasks, nodes = list(tasks), list(nodes)
    node_names = {node.id: node.name for node in nodes}
    down = down_nodes(nodes)
    names = {task.id: shown_name(task, node_names if resolve else {}) for task in tasks}
    rows, previous = [], None

    def order(task: Task) -> tuple[object, ...]:
        return natural(names[task.id]), task.desired_state > TaskState.RUNNING, -task.created_at, -task.version

    for task in sorted(tasks, key=order):
        name = names[task.id]
        runs = task.status.state is TaskState.RUNNING and task.status.pid > 0 and task.node_id not in down
        state = f"{task.status.state.word} {ago(task.status.timestamp, shown.now)}".rstrip()
        values = {
            "ID": short_id(task.id, shown.no_trunc),
            "Name": f"{name}.{task.id}" if shown.no_trunc else name,
            "Image": task.spec.container_spec.image,
            "Node": node_names.get(task.node_id, task.node_id) if resolve else task.node_id,
            "DesiredState": task.desired_state.word,
            "CurrentState": state,
            "Error": f'"{task.status.error}"' if task.status.error else "",
            "Ports": f"127.0.0.1:{task.status.port}/tcp" if task.status.port and runs else "",
            "NodeID": task.node_id,
            "PID": task.status.pid if runs else None,
            **shown.marks,
        }
        rows.append(Row(values, {"Name": f" \\_ {values['Name']}"} if name == previous else {}))
        previous = name
    return Listing(TASK_COLUMNS, rows)


def shown_name(task: Task, node_names: Mapping[str, str]) -> str:
    """`web.2`; of a global service `agent.n6`, by the node's name where it is known."""
    return task.name_on(node_names.get(task.node_id, ""))


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key by which web.2 sorts before web.10."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in re.split(r"(\d+)", text) if part
    ]
