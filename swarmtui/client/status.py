"""The cluster at a glance: the host and every node asked side by side, and what follows from their answers.

`held` is true when some node says that it leads and heard a quorum within an election timeout; `leader` and `term` are
that one's. `reachable` is what it hears, itself included; with no leader it is the most that any manager that answers can
reach. Silence is `unknown`; that a node is down, paused or stopped is the host's to say, and only where the host is silent
as well a refused dial says that a node is down.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import attrs
import trio

from swarmtui.client.errors import ClientError, NotReached
from swarmtui.objects.counting import down_nodes, replica_counts, task_counts
from swarmtui.objects.manifest import NodeEntry
from swarmtui.objects.membership import majority
from swarmtui.objects.records import Node, Service, Task
from swarmtui.wire.host_calls import HostReport, NodePower, Power
from swarmtui.wire.node_calls import Consistency, GetStatus, ListRecords, NodeReport, Records

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster

STATUS_TIMEOUT_S = 0.3  # everybody, side by side
SECOND_LOOK_S = 1.0  # if nobody at all has answered by then: on a busy machine our own handshakes may take that long
OBJECTS_TIMEOUT_S = 2.0  # of a manager that has just answered; there may be many

_POWERED_OFF = {
    Power.KILLED: "down",
    Power.EXITED: "down",
    Power.REFUSED: "down",
    Power.STOPPED: "stopped",
    Power.PAUSED: "paused",
}


@attrs.frozen
class Quorum:
    voters: int
    needed: int
    reachable: int
    held: bool


@attrs.frozen
class NodeStatus:
    """One row. `state`: leader, follower, candidate, learner, worker, down, paused, stopped or unknown. `disk`: why its
    disk refuses writes, "" if it does not."""

    name: str
    id: str
    address: str
    pid: int | None
    role: str
    state: str
    term: int | None
    commit: int | None
    applied: int | None
    last: int | None
    availability: str
    status: str
    disk: str = ""


@attrs.frozen
class ServiceStatus:
    name: str
    running: int
    wanted: int


@attrs.frozen
class ClusterStatus:
    """Field for field what `swarmtui status --format json` prints."""

    cluster: str
    name: str
    term: int
    leader: str | None
    quorum: Quorum
    stale: bool
    nodes: tuple[NodeStatus, ...]
    services: tuple[ServiceStatus, ...]
    tasks: dict[str, int]
    faults: tuple[str, ...]


async def gather_status(cluster: Cluster) -> ClusterStatus:
    """Raises NoHost if neither the host nor any node answers."""
    heard = await _ask_everybody(cluster, STATUS_TIMEOUT_S)
    if not heard.reports and not heard.gone:
        heard = await _ask_everybody(cluster, SECOND_LOOK_S)
    reports, gone, host = heard.reports, heard.gone, heard.host
    if not reports and not host:
        raise cluster.nobody(len(cluster.manifest.managers))
    holder = max((r for r in reports.values() if r.holds_quorum), key=lambda r: r.term, default=None)
    best = holder or max((r for r in reports.values() if r.raft_role), key=lambda r: (r.applied, r.term), default=None)
    objects = await _objects(cluster, best.name, fresh=holder is not None) if best is not None else None
    if host:
        gone.clear()  # it knows better: a node that is starting refuses, too
    return _fold(cluster, reports, gone, host[0] if host else None, objects, holder)


@attrs.define
class _Heard:
    """Who answered in time, by name, whose address refused a dial, and the host if it did."""

    reports: dict[str, NodeReport] = attrs.field(factory=dict)
    gone: set[str] = attrs.field(factory=set)
    host: list[HostReport] = attrs.field(factory=list)


async def _ask_everybody(cluster: Cluster, timeout_s: float) -> _Heard:
    heard = _Heard()

    async def ask_node(name: str) -> None:
        try:
            answer = await cluster.ask(name, GetStatus(), timeout_s)
        except ClientError as error:
            if isinstance(error, NotReached) and error.refused:
                heard.gone.add(name)
        else:
            if isinstance(answer, NodeReport):
                heard.reports[name] = answer

    async def ask_host() -> None:
        with trio.move_on_after(timeout_s):
            try:
                heard.host.append(await cluster.host.report())
            except ClientError:
                return  # without the host the nodes speak for themselves

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_host)
        for node in cluster.manifest.nodes:
            nursery.start_soon(ask_node, node.name)
    return heard


async def _objects(cluster: Cluster, name: str, *, fresh: bool) -> Records | None:
    """The objects as this manager has them; a leader that holds its quorum needs no further round."""
    call = ListRecords((Node.TABLE, Service.TABLE, Task.TABLE), Consistency.STALE)
    try:
        records = await cluster.ask(name, call, OBJECTS_TIMEOUT_S)
    except ClientError:
        return None
    return attrs.evolve(records, stale=not fresh) if isinstance(records, Records) else None


def _fold(
    cluster: Cluster,
    reports: dict[str, NodeReport],
    gone: set[str],
    host: HostReport | None,
    objects: Records | None,
    holder: NodeReport | None,
) -> ClusterStatus:
    records = objects.records if objects is not None else ()
    stored = {record.id: record for record in records if isinstance(record, Node)}
    tasks = [record for record in records if isinstance(record, Task)]
    services = [record for record in records if isinstance(record, Service)]
    down = down_nodes(stored.values())
    powers = {power.node_id: power for power in host.nodes} if host is not None else {}
    return ClusterStatus(
        cluster=cluster.manifest.id,
        name=cluster.manifest.name,
        term=holder.term if holder else max((report.term for report in reports.values()), default=0),
        leader=holder.name if holder else None,
        quorum=_quorum(cluster, reports, powers, holder),
        stale=objects is None or objects.stale,
        nodes=tuple(
            _row(node, reports.get(node.name), node.name in gone, powers.get(node.id), stored.get(node.id))
            for node in cluster.manifest.nodes
        ),
        services=tuple(_service(service, tasks, down) for service in sorted(services, key=lambda one: one.name)),
        tasks=task_counts(tasks, down),
        faults=tuple(fault.text for fault in host.faults) if host is not None else (),
    )


def _quorum(
    cluster: Cluster, reports: dict[str, NodeReport], powers: dict[str, NodePower], holder: NodeReport | None
) -> Quorum:
    known = holder or max((r for r in reports.values() if r.voters), key=lambda r: r.last, default=None)
    voters = len(known.voters) if known is not None else len(cluster.manifest.managers)
    ids = {id for id, _ in known.voters} if known is not None else set()

    def living(report: NodeReport) -> int:
        """What it hears, less those that the host knows to be without power: they may have spoken a moment ago."""
        off = {id for id, power in powers.items() if power.power is not Power.RUNNING}
        return len((set(report.heard) & ids) - (off - {report.node_id}))

    managers = [report for report in reports.values() if report.raft_role]
    reachable = living(holder) if holder else max((living(report) for report in managers), default=0)
    return Quorum(voters, majority(voters), reachable, holder is not None)


def _row(
    node: NodeEntry, report: NodeReport | None, is_gone: bool, power: NodePower | None, stored: Node | None
) -> NodeStatus:
    return NodeStatus(
        name=node.name,
        id=node.id,
        address=node.address,
        pid=report.pid if report else (power.pid or None) if power else None,
        role=str(stored.role if stored else node.role),
        state=_state(report, is_gone, power),
        term=report.term if report and report.raft_role else None,
        commit=report.commit if report and report.raft_role else None,
        applied=report.applied if report and report.raft_role else None,
        last=report.last if report and report.raft_role else None,
        availability=str(stored.spec.availability if stored else node.availability),
        status=str(stored.status.state) if stored else "unknown",
        disk=report.disk if report else "",
    )


def _state(report: NodeReport | None, is_gone: bool, power: NodePower | None) -> str:
    if power is not None and power.power in _POWERED_OFF:
        return _POWERED_OFF[power.power]
    if report is None:
        return "down" if is_gone else "unknown"
    if not report.raft_role:
        return "worker"
    return "candidate" if report.raft_role == "pre-candidate" else report.raft_role


def _service(service: Service, tasks: list[Task], down: Collection[str]) -> ServiceStatus:
    own = [task for task in tasks if task.service_id == service.id]
    return ServiceStatus(service.name, *replica_counts(service, own, down))
