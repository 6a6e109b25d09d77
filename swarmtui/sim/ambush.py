"""Ambushes: trouble that waits for its moment. The state of a node that is rare by itself is when something else shall happen.

A moment is where the core is in the middle of something: a configuration that is joint or not yet committed, a learner on its
way to a vote, a snapshot that arrives or is installed, a transfer, a leader that has committed nothing. Each is met once; a
share of them is struck, at once or a few messages later, by one of what goes wrong elsewhere at random.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from swarmtui.raft.effects import Role
from swarmtui.raft.inputs import LeaderLost, TransferAsked
from swarmtui.raft.leader import Leader
from swarmtui.sim.disk import Ruin
from swarmtui.sim.node import SimulatedNode

if TYPE_CHECKING:
    from swarmtui.sim.cluster import SimulatedCluster

STEPS_UNTIL_STRIKE = (0.0, 0.5, 1.0, 3.0)  # mean of one of these, in times that a message and a sync take
STRIKES_MAX = 2  # at one moment
READS_AT_ONCE = 3
STRIKES_PER_RUN_MAX = 200

Moment = tuple[str, int]
"""What is under way, and the index, term or size that tells it from the last one of its kind."""


class Ambush:
    """`met` are the moments of each node that were looked at."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        self.rng = random.Random(f"ambush {cluster.seed}")
        self.met: set[tuple[str, Moment]] = set()
        self.struck = 0
        parameters = cluster.parameters
        self.step_s = parameters.network.delay_min_s + parameters.network.delay_mean_s + parameters.disk.sync_mean_s
        self.strikes: tuple[Callable[[SimulatedNode], None], ...] = (
            self._crash_leader,
            self._crash_leader,
            self._crash,
            self._kill,
            self._cut_off,
            self._overthrow,
            self._transfer,
            self._transfer,
            self._snapshot,
            self._snapshot,
            self._read,
            self._hint,
            self._pause,
            self._change,
        )

    def look(self, node: SimulatedNode) -> None:
        """Called whenever something happened at this node."""
        for moment in moments(node):
            if (node.id, moment) in self.met:
                continue
            self.met.add((node.id, moment))
            if self.rng.random() < self.cluster.parameters.ambushes and self.struck < STRIKES_PER_RUN_MAX:
                self.struck += 1
                for _ in range(self.rng.randint(1, STRIKES_MAX)):
                    delay_s = self.rng.expovariate(1.0) * self.rng.choice(STEPS_UNTIL_STRIKE) * self.step_s
                    self.cluster.after(delay_s, self._strike, node, moment)

    def _strike(self, node: SimulatedNode, moment: Moment) -> None:
        trouble = self.cluster.trouble
        if trouble.goes_on and node.core is not None:
            strike = self.rng.choice(self.strikes)
            self.cluster.note("", f"ambush at {node.id} {moment[0]} {moment[1]}: {strike.__name__}", None)
            self.cluster.counts["ambushes"] += 1
            strike(node)

    # ---- what strikes ----

    def _crash(self, node: SimulatedNode) -> None:
        self.cluster.trouble.power.crash(node)

    def _kill(self, node: SimulatedNode) -> None:
        self.cluster.trouble.power.crash(node, Ruin.KILLED)

    def _crash_leader(self, node: SimulatedNode) -> None:
        self.cluster.trouble.power.crash(self.cluster.leader or node)

    def _cut_off(self, node: SimulatedNode) -> None:
        others = [other for other in self.cluster.nodes if other != node.id and self.rng.random() < 0.8]
        self.cluster.trouble.links.cut({path for other in others for path in ((node.id, other), (other, node.id))})

    def _overthrow(self, node: SimulatedNode) -> None:
        self.cluster.trouble.coup()

    def _transfer(self, node: SimulatedNode) -> None:
        """Mostly to the node in the middle of something, else to whoever is best."""
        leader = self.cluster.leader
        if leader is not None:
            target = node.id if node is not leader and self.rng.random() < 0.6 else ""
            leader.feed(TransferAsked(leader.desk.new_ticket(), target))

    def _snapshot(self, node: SimulatedNode) -> None:
        """Some take a snapshot of this very state."""
        for other in self.cluster.nodes.values():
            if self.rng.random() < 0.6:
                other.snapshot_due_after = 0

    def _read(self, node: SimulatedNode) -> None:
        for _ in range(READS_AT_ONCE):
            node.desk.read(lambda why: None)

    def _hint(self, node: SimulatedNode) -> None:
        """This one and some others believe that the leader is gone."""
        for other in self.cluster.nodes.values():
            if other.core is not None and (other is node or self.rng.random() < 0.3):
                other.feed(LeaderLost(other.core.role.leader, other.core.term))

    def _pause(self, node: SimulatedNode) -> None:
        self.cluster.trouble.power.pause(node)

    def _change(self, node: SimulatedNode) -> None:
        if self.cluster.parameters.changes_rate:
            self.cluster.trouble.members.change()


def moments(node: SimulatedNode) -> Iterator[Moment]:
    """What this node is in the middle of."""
    core = node.core
    if core is None:
        return
    members, role = core.members, core.role
    if members.current.is_joint:
        yield "joint", members.index
        if isinstance(role, Leader):
            yield "leads a joint configuration in term", core.term
    elif members.index > core.log.commit:
        yield "uncommitted members", members.index
    if members.current.promotions and isinstance(role, Leader):
        yield "promotions", members.index
    if core.incoming.installing is not None:
        yield "installs", core.incoming.installing.index
    elif core.incoming.arriving is not None:
        yield "receives", core.incoming.arriving.mark.index
    if isinstance(role, Leader):
        if role.transfer.target:
            yield "hands over in term", core.term
        if core.log.commit < role.first_index:
            yield "new leader of term", core.term
    elif role.kind is Role.CANDIDATE:
        yield "stands in term", core.term
