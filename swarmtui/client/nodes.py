"""Nodes: look at them, say what may be scheduled on them, and change who they are: managers, workers, here or gone.

What would cost the quorum is refused before anything is written, with the arithmetic, as docker refuses it; the leader's role
manager judges again when it acts, and then goes on by itself, whoever leads. So every wait here may be given up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import attrs
import trio

from swarmtui.client.errors import NoHost, NoLeader, NoQuorum, Refused, Unknown
from swarmtui.client.patience import LOOK_S, Say, unheard, wait_until
from swarmtui.client.status import ClusterStatus
from swarmtui.objects.identifiers import new_id
from swarmtui.objects.manifest import Manifest, NodeEntry, node_record
from swarmtui.objects.operations import Create, Remove, Result, Transaction, Update
from swarmtui.objects.records import Node
from swarmtui.objects.states import Availability, NodeRole, NodeState
from swarmtui.wire.calls import Answer, Call
from swarmtui.wire.host_calls import HostReport, Power
from swarmtui.wire.node_calls import Done, GetStatus, MayLeave, NodeReport, PeerReport, Records

ROLE_TIMEOUT_S = 30.0  # for a role to be what it is wanted to be, or a node to be ready
LEADER_PATIENCE_S = 3.0  # for an election to end
QUORUM_PATIENCE_S = 1.0  # where too few managers answer for one: they may be on their way

_OFF = {"stopped": "start", "down": "start", "paused": "resume"}  # of `status`, and what ends it


class Host(Protocol):
    """What is asked of the machine's host."""

    async def report(self) -> HostReport: ...
    async def make(self, entry: NodeEntry) -> str: ...
    async def forget(self, node: str) -> str: ...
    async def move(self, node: str, address: str) -> str: ...


class ClusterCalls(Protocol):
    """What is asked of the cluster."""

    @property
    def manifest(self) -> Manifest: ...
    @property
    def host(self) -> Host: ...
    async def ask(self, node: str, call: Call) -> Answer: ...
    async def records(self, *tables: str) -> Records: ...
    async def transact(self, transaction: Transaction) -> Result: ...
    async def status(self) -> ClusterStatus: ...


class Nodes:
    """`cluster.nodes`. A node is named by its id or its name."""

    def __init__(self, cluster: ClusterCalls) -> None:
        self._cluster = cluster

    async def list(self) -> list[Node]:
        """All nodes, by name."""
        records = (await self._cluster.records(Node.TABLE)).records
        return sorted((one for one in records if isinstance(one, Node)), key=lambda node: node.name)

    async def inspect(self, node: str) -> Node:
        """Raises Refused if there is none."""
        found = await self._find(node)
        if found is None:
            raise Refused("absent", f"there is no node {node}; see swarmtui node ls")
        return found

    async def _find(self, node: str) -> Node | None:
        nodes = await self.list()
        return next((one for one in nodes if one.id == node), None) or next(
            (one for one in nodes if one.name == node), None
        )

    async def update(self, node: str, *, availability: Availability | str) -> None:
        """Raises Conflict if somebody else changed the node meanwhile."""
        found = await self.inspect(node)
        wanted = attrs.evolve(found, spec=attrs.evolve(found.spec, availability=Availability(availability)))
        await self._cluster.transact(Transaction((Update(wanted, spec_version=found.spec_version),)))

    # -------------------------------------------------------------------------------------------------------- roles

    async def promote(self, node: str, *, timeout_s: float = ROLE_TIMEOUT_S, say: Say = unheard) -> bool:
        """Make it a manager; returns once it votes, False if it was one already. With no time to wait it returns at once;
        else `say` is told what it waits for, and a node that does not run is refused. Raises Unknown if it takes longer: it
        goes on by itself."""
        found = await self.inspect(node)
        wants = found.spec.role is not NodeRole.MANAGER
        if wants and found.role is NodeRole.MANAGER:
            raise Refused("demoting", f"{found.name} is being demoted just now; try again when it is a worker")
        if timeout_s > 0 and (wants or not await self._votes(found.id)):
            await self._check_runs(found, wants)
        if wants:
            await self._want_role(found, NodeRole.MANAGER)
        await self._until_votes(found.id, found.name, timeout_s, say)
        return wants

    async def demote(self, node: str, *, timeout_s: float = ROLE_TIMEOUT_S, say: Say = unheard) -> bool:
        """Make it a worker; returns once it has left the consensus, False if it was one already. `say` is told what it waits
        for. Raises Refused where that would cost the quorum, Unknown if it takes longer."""
        found = await self.inspect(node)
        changes = found.spec.role is not NodeRole.WORKER
        if changes:
            await self._check_may_leave(found)
            await self._want_role(found, NodeRole.WORKER)
        await wait_until(
            f"{found.name} to be a worker",
            lambda: self._is_worker(found.id),
            lambda: self._why_still_manager(found.id),
            timeout_s,
            say,
        )
        return changes

    async def _until_votes(self, node_id: str, name: str, timeout_s: float, say: Say) -> None:
        votes, why_not = (lambda: self._votes(node_id)), (lambda: self._why_voteless(node_id))
        await wait_until(f"{name} to vote", votes, why_not, timeout_s, say)

    async def _check_runs(self, node: Node, wants: bool) -> None:
        """A stopped node would be waited for in vain. Raises Refused with the command that starts it."""
        status = await self._cluster.status()
        state = next((row.state for row in status.nodes if row.id == node.id), "")
        if state not in _OFF:
            return
        start = f"swarmtui {_OFF[state]} {node.name}"
        later = f"; or order it for later: swarmtui node promote -d {node.name}" if wants else ""
        what = "becomes a manager" if wants else "is to be a manager already, and becomes one"
        raise Refused("off", f"{node.name} is {state}: it {what} only when it runs: {start}{later}")

    async def _want_role(self, node: Node, role: NodeRole) -> None:
        wanted = attrs.evolve(node, spec=attrs.evolve(node.spec, role=role))
        await self._cluster.transact(Transaction((Update(wanted, spec_version=node.spec_version),)))

    async def _check_may_leave(self, node: Node) -> None:
        """Raises Refused with the arithmetic."""
        leader = await self._leader()
        answer = await self._cluster.ask(leader, MayLeave(node.id))
        if isinstance(answer, Done) and answer.refused:
            raise Refused("quorum", f"{node.name} cannot be demoted: {answer.refused}")

    async def _leader(self) -> str:
        """Who leads, after the election that may be under way. Raises NoQuorum, NoLeader."""
        begun = trio.current_time()
        with trio.move_on_after(LEADER_PATIENCE_S):
            while True:  # an election is nothing that could be waited for from outside
                status = await self._cluster.status()
                if status.leader is not None:
                    return status.leader
                quorum = status.quorum
                if quorum.reachable < quorum.needed and trio.current_time() >= begun + QUORUM_PATIENCE_S:
                    raise NoQuorum(quorum.reachable, quorum.needed, quorum.voters)
                await trio.sleep(LOOK_S)
        raise NoLeader("no leader now, so nobody can judge whether that would cost the quorum; try again")

    async def _is_worker(self, node_id: str) -> bool:
        found = await self._find(node_id)
        return found is None or found.role is NodeRole.WORKER

    async def _votes(self, node_id: str) -> bool:
        report = await self._leader_report()
        return report is not None and node_id in {id for id, _ in report.voters}

    async def _leader_report(self) -> NodeReport | None:
        status = await self._cluster.status()
        if status.leader is None:
            return None
        try:
            answer = await self._cluster.ask(status.leader, GetStatus())
        except (Refused, Unknown):
            return None
        return answer if isinstance(answer, NodeReport) else None

    async def _why_voteless(self, node_id: str) -> str:
        """What keeps this node from being ready, or from voting."""
        status = await self._cluster.status()
        row = next((row for row in status.nodes if row.id == node_id), None)
        if status.leader is None:
            return _no_leader(status)
        if row is not None and row.state in _OFF:
            return f"it is {row.state}"
        if row is not None and row.state == "unknown":
            return "it does not answer"
        report = await self._leader_report()
        if learning := next((peer for peer in _learning(report) if peer.node_id == node_id), None):
            return f"it catches up, {learning.catch_up}"
        if status.faults:
            return f"there are faults: {', '.join(status.faults)}; swarmtui heal ends them"
        return ""

    async def _why_still_manager(self, node_id: str) -> str:
        """What keeps this node from being let go."""
        status = await self._cluster.status()
        if status.leader is None:
            return _no_leader(status)
        try:
            answer = await self._cluster.ask(status.leader, MayLeave(node_id))
        except (Refused, Unknown):
            return ""
        return answer.refused if isinstance(answer, Done) else ""

    # ------------------------------------------------------------------------------------------------- join and leave

    async def join(
        self,
        *,
        name: str = "",
        role: NodeRole = NodeRole.WORKER,
        availability: Availability = Availability.ACTIVE,
        labels: Mapping[str, str] = {},
        address: str = "",
        timeout_s: float = ROLE_TIMEOUT_S,
        say: Say = unheard,
    ) -> Node:
        """A new node on this machine; returns once it is ready and, a manager, votes. Its record is written first, so that
        a refusal leaves nothing behind. Raises NoHost, Refused, Unknown."""
        taken = {node.name for node in (await self.list())} | {node.name for node in self._cluster.manifest.nodes}
        if name in taken:
            raise Refused("exists", f"there is a node {name} already; choose another name, or remove it first")
        name = name or next(f"n{number}" for number in range(1, len(taken) + 2) if f"n{number}" not in taken)
        await self._cluster.host.report()
        entry = NodeEntry(
            id=new_id(), name=name, role=role, address=address, availability=availability, labels=dict(labels)
        )
        await self._cluster.transact(Transaction((Create(node_record(entry)),)))
        try:
            await self._cluster.host.make(entry)
        except Refused:
            await self._cluster.transact(Transaction((Remove(Node.TABLE, entry.id),)))
            raise
        ready, why_not = (lambda: self._is_ready(entry.id)), (lambda: self._why_voteless(entry.id))
        await wait_until(f"{name} to be ready", ready, why_not, timeout_s, say)
        if role is NodeRole.MANAGER:
            await self._until_votes(entry.id, name, timeout_s, say)
        return await self.inspect(entry.id)

    async def _is_ready(self, node_id: str) -> bool:
        found = await self._find(node_id)
        return found is not None and found.status.state is NodeState.READY

    async def remove(
        self, node: str, *, force: bool = False, timeout_s: float = ROLE_TIMEOUT_S, say: Say = unheard
    ) -> None:
        """Out of the cluster for ever, and off this machine. Refused for a node that is ready and for a manager; `force`
        removes a ready worker, and a manager that is down, which is demoted first. Raises Refused, Unknown."""
        found = await self._find(node)
        if found is None:
            here = self._cluster.manifest.node(node)
            if here is None:
                raise Refused("absent", f"there is no node {node}; see swarmtui node ls")
            await self._cluster.host.forget(here.id)  # its record is gone already: an earlier removal was broken off
            return
        if NodeRole.MANAGER in (found.role, found.spec.role):
            await self._check_may_go(found, force)
            await self.demote(found.id, timeout_s=timeout_s, say=say)
            found = await self.inspect(found.id)
        elif found.status.state is NodeState.READY and not force and not await self._is_off(found):
            raise Refused(
                "ready",
                f"node {found.name} is not down and can't be removed; stop it first: swarmtui stop {found.name}, or "
                f"swarmtui node rm --force {found.name}",
            )
        await self._cluster.transact(Transaction((Remove(Node.TABLE, found.id, spec_version=found.spec_version),)))
        try:
            await self._cluster.host.forget(found.id)
        except NoHost:
            return  # it is of another machine, or its directory goes with the next order of this kind

    async def _check_may_go(self, manager: Node, force: bool) -> None:
        is_off = manager.status.state is NodeState.DOWN or await self._is_off(manager)
        if force and is_off:
            return
        down = (
            f"; it is down, so this demotes and removes it: swarmtui node rm --force {manager.name}" if is_off else ""
        )
        raise Refused(
            "manager",
            f"node {manager.name} is a cluster manager and a member of the raft cluster; it must be demoted to worker "
            f"before removal: swarmtui node demote {manager.name}{down}",
        )

    async def _is_off(self, node: Node) -> bool:
        """The host of this machine knows that it has no power."""
        try:
            report = await self._cluster.host.report()
        except (NoHost, Refused, Unknown):
            return False
        power = next((power for power in report.nodes if power.node_id == node.id), None)
        return power is not None and power.power not in (Power.RUNNING, Power.PAUSED)

    async def move(self, node: str, address: str = "") -> str:
        """Another address, from its next start on; "" is a free port. The node must not run. Returns the address. Needs
        no quorum, and no manager."""
        here = self._cluster.manifest.node(node)
        return await self._cluster.host.move(here.id if here is not None else node, address)


def _no_leader(status: ClusterStatus) -> str:
    quorum = status.quorum
    return f"there is no leader, {quorum.reachable} of {quorum.voters} managers answer, {quorum.needed} are needed"


def _learning(report: NodeReport | None) -> list[PeerReport]:
    return [peer for peer in report.peers if peer.catch_up] if report is not None else []
