"""Managers that come and go in simulated clusters: an operator promotes and demotes nodes, the role manager of whoever leads
gives and takes their seats, and the host makes of each node what its record says.

A node that is demoted stops when its record says that it is a worker: its member of the consensus is gone for ever, with its
log, and its tasks go elsewhere. One that is promoted again comes back with an empty disk, as a new member.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from swarmtui.manager.membership import Refusal, Seats, Wish
from swarmtui.node.members import change_of, seats_of
from swarmtui.objects.operations import Transaction, Update
from swarmtui.objects.records import Node
from swarmtui.objects.states import NodeRole
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.effects import Refused
from swarmtui.sim.disk import Ruin
from swarmtui.sim.machine import StoreMachine
from swarmtui.sim.node import SimulatedNode
from swarmtui.store import Store

if TYPE_CHECKING:
    from swarmtui.raft.core import RaftCore
    from swarmtui.sim.scheduling import Leading, Scheduling

HOST_LATE_S = 0.1  # mean, until the host has written down what a record says
MEMBERS_MAX = 24  # ever, in one run
DEMOTIONS_SHARE = 0.6  # of orders, while two managers are wanted


class LeaderSeats:
    """The role manager's view of the consensus, on one simulated leader. In virtual time nobody waits: `Leading` asks, and is
    answered later."""

    def __init__(self, leading: Leading) -> None:
        self.leading = leading
        self._known: Seats | None = None

    def seats(self) -> Seats:
        core = self.leading.node.core
        assert core is not None
        return seats_of(core)

    def is_ready(self, node_id: str) -> bool:
        """It runs as a manager, and no cut is between."""
        target, own = self.leading.scheduling.agents[node_id].node, self.leading.node
        cuts = self.leading.cluster.network.cuts
        return target.core is not None and (own.id, target.id) not in cuts and (target.id, own.id) not in cuts

    def have_changed(self) -> bool:
        """Since this was asked last, which is at each turn."""
        before, self._known = self._known, self.seats()
        return before != self._known

    def ask(self, wish: Wish) -> None:
        self.leading.node.desk.change((change_of(wish),), self._answered)

    def _answered(self, refused: Refused | None) -> None:
        if self.leading.goes_on:
            refusal = None if refused is None else Refusal(refused.rule, refused.reason)
            self.leading.manager.answered(refusal, self.leading.moment)
            self.leading.cluster.counts["seats changed" if refused is None else "seats refused"] += 1
            self.leading.look_soon()


class Roles:
    """The operator, and the host. Nothing happens unless the parameters say how often."""

    def __init__(self, scheduling: Scheduling) -> None:
        self.scheduling = scheduling
        self.cluster = scheduling.cluster
        self.rate = self.cluster.parameters.roles_rate
        self.rng = random.Random(f"roles {self.cluster.seed}")
        self._corrected: set[tuple[str, int]] = set()
        self._written_down: dict[str, tuple[NodeRole, int]] = {}

    def begin(self) -> None:
        if self.rate:
            self.cluster.after(self.rng.expovariate(self.rate), self._order)

    # ---- the operator ----

    def _order(self) -> None:
        """Promote or demote somebody; somebody is always wanted as a manager."""
        if not self.scheduling.trouble_goes_on:
            return
        self.cluster.after(self.rng.expovariate(self.rate), self._order)
        store = self._leaders_store()
        nodes = [] if store is None else store.all(Node)
        managers = [node for node in nodes if node.spec.role is NodeRole.MANAGER]
        workers = [node for node in nodes if node.spec.role is NodeRole.WORKER]
        if len(managers) > 1 and self.rng.random() < DEMOTIONS_SHARE:
            self._want(self.rng.choice(managers), NodeRole.WORKER)
        elif workers and len(self.cluster.nodes) < MEMBERS_MAX:
            self._want(self.rng.choice(workers), NodeRole.MANAGER)

    def _leaders_store(self) -> Store | None:
        leader = self.cluster.leader
        return leader.machine.store if leader and leader.runs and isinstance(leader.machine, StoreMachine) else None

    def _want(self, node: Node, role: NodeRole) -> None:
        leader = self.cluster.leader
        assert leader is not None
        assert leader.core is not None
        wanted = attrs.evolve(node, spec=attrs.evolve(node.spec, role=role))
        update = Update(wanted, spec_version=node.spec_version)
        self.cluster.counts["promotions wished" if role is NodeRole.MANAGER else "demotions wished"] += 1
        leader.desk.write(Transaction((update,)), lambda told: None, leader.core.term)

    # ---- the host ----

    def applied(self, store: Store) -> None:
        """After an entry that nobody had applied before: what the records say is written down a little later."""
        if not self.rate:
            return
        for record in store.all(Node):
            says = (record.role, record.promotions)
            if self._written_down.setdefault(record.id, says) != says:
                self._written_down[record.id] = says
                known = Configuration(
                    tuple(
                        Member(other.member_id, other.name, other.status.address)
                        for other in store.all(Node)
                        if other.role is NodeRole.MANAGER and other.id != record.id
                    )
                )
                late_s = self.rng.expovariate(1 / HOST_LATE_S)
                self.cluster.after(late_s, self._write_down, record, known)

    def _write_down(self, record: Node, introduction: Configuration) -> None:
        agent = self.scheduling.agents[record.id]
        if (record.role, record.promotions) != self._written_down[record.id]:
            return  # it is something else by now
        if record.role is NodeRole.WORKER:
            self._forget(agent.node)
        elif agent.node.id != record.member_id:
            self._forget(agent.node)
            agent.move_to(self._new_member(record, introduction))

    def _forget(self, node: SimulatedNode) -> None:
        """Its log and its vote are gone, and it never speaks again."""
        if node.core is not None:
            self.cluster.trouble.power.crash(node, Ruin.KILLED)
        node.retired = True

    def _new_member(self, record: Node, introduction: Configuration) -> SimulatedNode:
        cluster = self.cluster
        node = cluster.nodes[record.member_id] = SimulatedNode(cluster, record.member_id, introduction, None)
        cluster.counts["promoted again"] += 1
        cluster.trouble.power.start(node)
        return node

    # ---- what must come about ----

    def unsettled(self, core: RaftCore, store: Store) -> str:
        """Whose wanted role, record and seat do not agree yet, on this leader."""
        if not self.rate:
            return ""
        if store.index < core.log.last:
            return "what is in the log, and may be a wish"
        nodes, seats, agents = store.all(Node), seats_of(core), self.scheduling.agents
        if nodes and self._corrects(nodes, seats):
            return "what was wished in vain"
        for node in nodes:
            own = [seat for seat in seats.of_node(node.id) if seat.id == node.member_id and seat.votes]
            if node.role is not node.spec.role:
                return f"{node.name}: wanted as {node.spec.role}, recorded as {node.role}"
            if bool(own) is not (node.role is NodeRole.MANAGER) or len(seats.of_node(node.id)) != len(own):
                return f"{node.name}: {node.role}, and its seats are {seats.of_node(node.id)}"
            if own and agents[node.id].node.id != node.member_id:
                return f"{node.name}: runs as {agents[node.id].node.id}, its seat is that of {node.member_id}"
        return ""

    def _corrects(self, nodes: Sequence[Node], seats: Seats) -> bool:
        """What only the operator can do: demote who was put out while it was wanted again, as the manager says itself, and want
        the last manager to stay one."""
        for node in nodes:
            if NodeRole.MANAGER is node.spec.role is node.role and node.member_id in seats.removed:
                self._correct(node, NodeRole.WORKER)
                return True
        if all(node.spec.role is NodeRole.WORKER for node in nodes):
            self._correct(next(node for node in nodes if seats.of_node(node.id)), NodeRole.MANAGER)
            return True
        return False

    def _correct(self, node: Node, role: NodeRole) -> None:
        """Once a second: the wish may be refused, or lost with its leader."""
        key = (node.id, int(self.cluster.now))
        if key not in self._corrected:
            self._corrected.add(key)
            self._want(node, role)
