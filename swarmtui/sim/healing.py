"""The second half of every run: all trouble ends for good, and within a bounded time the cluster must be as good as new.

A leader; members without a lost disk (who lost theirs is replaced, as an operator would), nobody waiting to be promoted, no
joint configuration; a new write applied by every member, equal states; then silence but for heartbeats; then every client
served at its first try, by whichever member it asks.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import attrs

from swarmtui.raft.changes import AddVoter, Change, Remove
from swarmtui.raft.configuration import Configuration
from swarmtui.raft.inputs import MembersAsked
from swarmtui.raft.invariants import InvariantViolation
from swarmtui.sim.history import Ending, Kind
from swarmtui.sim.node import SimulatedNode
from swarmtui.sim.parameters import DiskParameters

if TYPE_CHECKING:
    from swarmtui.sim.cluster import SimulatedCluster

HEALING_TIMEOUTS = 40  # election timeouts (and no less than `HEALING_S`) within which a healed cluster is whole
HEALING_S = 10.0
REPLACING_S = 10.0  # more for every member that has to be replaced
STEADY_TIMEOUTS = 3  # election timeouts that a healed cluster is watched
MESSAGES_PER_HEARTBEAT = 2  # the message and its answer, of each follower
MESSAGES_ELSE_MAX = 20  # while that is watched


class Healing:
    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster

    def heal(self) -> None:
        """Every node runs, every path is open, every disk and every clock is well."""
        cluster = self.cluster
        cluster.note("", "heal", None)
        cluster.trouble.end()
        cluster.clients.end()
        cluster.scheduling.heal()
        cluster.network.heal()
        cluster.disk_parameters = DiskParameters()
        cluster.parameters = attrs.evolve(
            cluster.parameters, tick_late_s=0.0, batching=0.0, apply_late_s=0.0, clock_drift=0.0
        )
        for node in list(cluster.nodes.values()):
            node.effects_left = 0
            if node.hung:
                cluster.trouble.power.crash(node)
            if node.core is not None:
                node.mend_clock()
                if node.paused_until is not None:
                    node.resume()
            elif not node.is_out:
                node.start()
        for one, other in combinations(cluster.nodes.values(), 2):
            cluster.trouble.links.connect(one, other)

    # ---- whole ----

    def recover(self) -> None:
        """Raises InvariantViolation if the cluster does not become whole in time."""
        cluster, timeout_s = self.cluster, self.cluster.parameters.options.election_timeout_s
        lost = sum(1 for node in cluster.nodes.values() if node.lost)
        began = cluster.now
        limit = began + max(HEALING_S, HEALING_TIMEOUTS * timeout_s) + REPLACING_S * lost
        target, term = 0, 0
        while cluster.now < limit:
            cluster.run_until(cluster.now + timeout_s / 4)
            leader = cluster.leader
            if leader is None or leader.core is None or self._replace_lost(leader):
                continue
            if leader.core.term != term:  # another leader may have overwritten the last attempt
                target, term = 0, leader.core.term
            if not target:
                committed = cluster.observer.last
                leader.desk.propose((b"after healing",))
                if leader.core is not None and leader.core.log.last > committed:
                    target = leader.core.log.last
            elif self._is_whole(leader, target):
                return
        raise InvariantViolation("a healed cluster recovers", within_s=limit - began, members=self._members())

    def _members(self) -> str:
        leader = self.cluster.leader
        return str(leader.core.members.current) if leader and leader.core else "no leader"

    def _replace_lost(self, leader: SimulatedNode) -> bool:
        """Ask for somebody in place of a member that lost its disk, if there is one and nothing else is under way."""
        core = leader.core
        assert core is not None
        current = core.members.current
        lost = [member.id for member in current.members if self.cluster.nodes[member.id].lost]
        coming = {promotion.id for promotion in current.promotions}
        lost.sort(key=lambda id: id not in coming)  # nobody can wait for one that will never catch up
        if not lost or core.members.index > core.log.commit or current.is_joint:
            return bool(lost)
        leaving: tuple[Change, ...] = (Remove(lost[0]),)
        waits = any(promotion.instead_of == lost[0] for promotion in current.promotions)
        if lost[0] in core.members.voters and not waits:
            newcomer = self.cluster.trouble.members.newcomer(current)
            leaving = (AddVoter(newcomer), Remove(lost[0]))
        elif waits:
            return True  # it leaves when who comes in its place has caught up
        leader.feed(MembersAsked(leader.desk.new_ticket(), core.term, leaving))
        return True

    def _is_whole(self, leader: SimulatedNode, target: int) -> bool:
        assert leader.core is not None
        current = leader.core.members.current
        if leader.core.members.index > leader.core.log.commit or current.is_joint or current.promotions:
            return False
        members = self.of(current)
        if any(
            node.core is None or node.core.applied < target or node.core.log.commit != node.core.log.last
            for node in members
        ):
            return False
        for node in members:
            self.cluster.observer.snapshots(node)
        return len({node.machine.index for node in members}) == 1

    def of(self, configuration: Configuration) -> list[SimulatedNode]:
        return [self.cluster.nodes[member.id] for member in configuration.members]

    # ---- quiet, and of service ----

    def stay_whole(self) -> None:
        """Nothing more happens by itself: once what was asked before has come to its end (a transfer of leadership may, and
        an old "campaign now" may come again), the leader stays, only heartbeats are sent, and nobody who was removed and asks
        a member for its vote still believes to be a voter. Those who know only others that are out ask them for ever, and no
        member hears of it."""
        cluster, options = self.cluster, self.cluster.parameters.options
        seconds = STEADY_TIMEOUTS * options.election_timeout_s
        cluster.run_until(
            cluster.now + 2 * cluster.parameters.client_patience_s, lambda: not cluster.clients.undecided()
        )
        cluster.run_until(max(cluster.now, cluster.echoes_until) + seconds)
        leader, sent = cluster.leader, cluster.messages
        term = leader.core.term if leader is not None and leader.core is not None else 0
        cluster.run_until(cluster.now + seconds)
        if leader is None or cluster.leader is not leader or leader.core is None or leader.core.term != term:
            raise InvariantViolation("a healed cluster keeps its leader", leader=leader and leader.id, term=term)
        peers = len(leader.core.members.current.members) - 1
        heartbeats = (seconds / options.heartbeat_s + 2) * peers
        if cluster.messages - sent > MESSAGES_PER_HEARTBEAT * heartbeats + MESSAGES_ELSE_MAX:
            raise InvariantViolation("a healed cluster is quiet", sent=cluster.messages - sent, heartbeats=heartbeats)
        for id in sorted(cluster.observer.removed & cluster.nodes.keys()):
            core = cluster.nodes[id].core
            if core is not None and core.is_voter and set(core.members.voters) & set(leader.core.members.ids):
                raise InvariantViolation("who was removed is told so", node=id)

    def serve_everybody(self) -> None:
        """Each client in turn, by one member after another."""
        cluster, clients = self.cluster, self.cluster.clients
        assert cluster.leader is not None
        assert cluster.leader.core is not None
        members = self.of(cluster.leader.core.members.current)
        patience_s = 2 * cluster.parameters.client_patience_s
        for number, client in enumerate(clients.all):
            node = members[number % len(members)]
            asked = len(clients.history)
            client.begin(Kind.GET if number % 2 else Kind.PUT, clients.keys[number % len(clients.keys)], node)
            cluster.run_until(cluster.now + patience_s, lambda: not clients.undecided())
            if [one.ending for one in clients.history[asked:]] != [Ending.DONE]:
                raise InvariantViolation("a healed cluster serves every client", client=client.name, by=node.id)
