"""Changes of the members of a simulated cluster: one, or several at once, asked of the leader or of who is none.

Whoever joins is a new node with an empty log; who was removed stops when it is told. As an operator would, nobody here asks
for a change that leaves too few members with a disk; that the cluster itself refuses what the nodes in contact cannot bear is
what is tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from swarmtui.raft.changes import (
    AddLearner,
    AddVoter,
    Change,
    Demote,
    InvalidChange,
    Move,
    Remove,
    next_configuration,
    subject,
)
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.inputs import MembersAsked
from swarmtui.raft.quorum import majority
from swarmtui.sim.node import SimulatedNode

if TYPE_CHECKING:
    from swarmtui.sim.cluster import SimulatedCluster

NODES_MAX = 12  # ever, in one run
NODES_OF_A_THEME_MAX = 20  # where members are what the run is about
VOTERS_MAX = 7
START_LATE_SHARE = 0.3  # of newcomers are made members before they run


class MemberTrouble:
    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        self.rng = cluster.rng

    def change(self) -> None:
        """Mostly asked of the leader."""
        cluster = self.cluster
        leader = cluster.leader
        if leader is None or leader.core is None:
            return
        current = leader.core.members.current
        together = cluster.parameters.changes_together
        changes = self._together(current) if together and self.rng.random() < together else self._some(current)
        if not changes or not self._bearable(current, tuple(changes.values())):
            return
        asked = leader if self.rng.random() < 0.9 else self.rng.choice(list(cluster.nodes.values()))
        if asked.core is not None:
            cluster.counts["changes asked"] += 1
            asked.feed(MembersAsked(asked.desk.new_ticket(), asked.core.term, tuple(changes.values())))

    def _some(self, current: Configuration) -> dict[str, Change]:
        changes: dict[str, Change] = {}
        for _ in range(self.rng.choice([1, 1, 1, 2, 3])):
            change = self._draw(current)
            if change is not None:
                changes[subject(change)] = change
        return changes

    def _together(self, current: Configuration) -> dict[str, Change]:
        """Several voters at once: replaced, demoted, removed, promoted."""
        changes: dict[str, Change] = {}
        for voter in self.rng.sample(current.voters, min(self.rng.randint(1, 3), len(current.voters))):
            changes[voter.id] = Demote(voter.id) if self.rng.random() < 0.3 else Remove(voter.id)
        for _ in range(self.rng.randint(0, len(changes))):
            change = AddVoter(self.newcomer(current)) if self._has_room else None
            if change is not None:
                changes[subject(change)] = change
        for learner in current.learners:
            if self.rng.random() < 0.7 and learner.id not in changes:
                changes[learner.id] = AddVoter(learner)
        return changes

    @property
    def _has_room(self) -> bool:
        """For one more node."""
        limit = NODES_OF_A_THEME_MAX if self.cluster.parameters.changes_together else NODES_MAX
        return len(self.cluster.nodes) < limit

    def _draw(self, current: Configuration) -> Change | None:
        kind = self.rng.choice(["learner", "voter", "voter", "promote", "demote", "remove", "remove", "move"])
        if kind in ("learner", "voter"):
            if len(current.voters) >= VOTERS_MAX or not self._has_room:
                return None
            newcomer = self.newcomer(current)
            return AddLearner(newcomer) if kind == "learner" else AddVoter(newcomer)
        if kind == "promote":
            return AddVoter(self.rng.choice(current.learners)) if current.learners else None
        if kind == "demote":
            return Demote(self.rng.choice(current.voters).id)
        member = self.rng.choice(current.members)
        if kind == "remove":
            return Remove(member.id)
        return Move(attrs.evolve(member, address=f"sim:{self.rng.randint(100, 999)}"))

    def newcomer(self, current: Configuration) -> Member:
        """A node that runs and is no member, or a new one, which often only starts when it is one."""
        cluster = self.cluster
        gone = {*cluster.observer.removed, *current.removed}
        spare = [
            node.id
            for node in cluster.nodes.values()
            if node.joined_later and not node.is_out and node.id not in gone and current.member(node.id) is None
        ]
        if spare:
            id = self.rng.choice(spare)
        else:
            node = cluster.add_node(Configuration(current.members))  # whom to listen to; as a manifest, it bars nobody
            id = node.id
            late_s = self.rng.expovariate(2.0) if self.rng.random() < START_LATE_SHARE else 0.0
            cluster.after(late_s, self._begin, node)
        return Member(id, id, f"sim:{id}")

    def _begin(self, node: SimulatedNode) -> None:
        if node.core is None and not node.is_out and node.life == 0:
            self.cluster.trouble.power.start(node)

    # ---- what can be borne ----

    def _bearable(self, current: Configuration, changes: tuple[Change, ...]) -> bool:
        try:
            wanted = next_configuration(current, changes)
        except InvalidChange:
            return True  # it will be refused
        return self._enough(wanted, set(), 0)

    def may_lose(self, node: SimulatedNode) -> bool:
        """Whether every configuration that anybody may act on has a quorum without this node; and one voter to spare, where
        the members change while it is not yet noticed."""
        spare = 1 if self.cluster.parameters.changes_rate else 0
        return all(self._enough(known, {node.id}, spare) for known in self._configurations())

    def _enough(self, configuration: Configuration, without: set[str], spare: int) -> bool:
        nodes = self.cluster.nodes
        for half in (configuration.voters, configuration.outgoing):
            well = [
                member.id
                for member in half
                if member.id not in without and not nodes[member.id].lost and not nodes[member.id].suspect
            ]
            if half and len(well) < majority(len(half)) + spare:
                return False
        return True

    def _configurations(self) -> list[Configuration]:
        found: list[Configuration] = []
        for node in self.cluster.nodes.values():
            if node.core is not None:
                found += [node.core.members.current, node.core.members.previous]
            elif not node.is_out:
                found += node.disk.configurations()
        return found
