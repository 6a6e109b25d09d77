"""Load and trouble: what is asked of a simulated cluster, and what is done to it, at the rates of its parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from swarmtui.raft.inputs import LeaderLost, TransferAsked
from swarmtui.sim.ambush import Ambush
from swarmtui.sim.link_trouble import LinkTrouble
from swarmtui.sim.member_trouble import MemberTrouble
from swarmtui.sim.node import SimulatedNode
from swarmtui.sim.power_trouble import PowerTrouble

if TYPE_CHECKING:
    from swarmtui.sim.cluster import SimulatedCluster


def _ignore(why: str) -> None:
    """The observer has looked at it; nobody else asked."""


class Trouble:
    """Each kind strikes at random moments, at its rate, until `end`; each fault is healed after a while."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        self.links = LinkTrouble(cluster)
        self.power = PowerTrouble(cluster)
        self.members = MemberTrouble(cluster)
        self.ambush = Ambush(cluster)
        self.goes_on = True

    def begin(self) -> None:
        parameters, links, power = self.cluster.parameters, self.links, self.power
        for rate, trouble in (
            (parameters.proposals_rate, self._propose),
            (parameters.reads_rate, self._read),
            (parameters.transfers_rate, self._transfer),
            (parameters.hints_rate, self._false_hint),
            (parameters.coups_rate, self.coup),
            (parameters.partitions_rate, links.partition),
            (parameters.one_way_rate, links.one_way),
            (parameters.clogs_rate, links.clog),
            (parameters.resets_rate, links.reset),
            (parameters.crashes_rate, power.crash_one),
            (parameters.kills_rate, power.kill_one),
            (parameters.midway_crashes_rate, power.crash_midway),
            (parameters.power_cuts_rate, power.cut_power),
            (parameters.pauses_rate, power.pause_one),
            (parameters.tick_bursts_rate, power.tick_burst),
            (parameters.disk_failures_rate, power.fail_disk),
            (parameters.damages_rate, power.damage_disk),
            (parameters.copies_rate, power.copy_or_put_back),
            (parameters.changes_rate, self.members.change),
        ):
            if rate:
                self._again(rate, trouble)

    def end(self) -> None:
        """Nothing new happens from now on."""
        self.goes_on = False

    def _again(self, rate: float, trouble: Callable[[], None]) -> None:
        self.cluster.after(self.cluster.rng.expovariate(rate), self._strike, rate, trouble)

    def _strike(self, rate: float, trouble: Callable[[], None]) -> None:
        if self.goes_on:
            trouble()
            self._again(rate, trouble)

    # ---- load ----

    def _somebody(self) -> SimulatedNode:
        return self.cluster.rng.choice(list(self.cluster.nodes.values()))

    def _propose(self) -> None:
        """Mostly to the leader, sometimes to whoever believes to lead, sometimes to anybody."""
        leader = self.cluster.leader
        node = leader if leader is not None and self.cluster.rng.random() < 0.8 else self._somebody()
        count = self.cluster.rng.choice([1, 1, 1, 3, 10])
        size = self.cluster.rng.randint(1, self.cluster.parameters.payload_bytes_max)
        node.desk.propose(tuple(node.machine.payload(self.cluster.rng, size) for _ in range(count)))

    def _propose_still(self) -> None:
        """Unless everything is healed by now: then nothing new is asked."""
        if self.goes_on:
            self._propose()

    def _read(self) -> None:
        self._somebody().desk.read(_ignore)

    def _read_still(self, node: SimulatedNode) -> None:
        """Unless everything is healed by now: each read costs a round of messages where silence is expected."""
        if self.goes_on:
            node.desk.read(_ignore)

    def _transfer(self) -> None:
        leader = self.cluster.leader
        if leader is not None:
            target = self.cluster.rng.choice(["", self._somebody().id])
            leader.feed(TransferAsked(leader.desk.new_ticket(), target))

    # ---- leadership ----

    def _false_hint(self) -> None:
        """Somebody believes, wrongly, that its leader is gone."""
        node = self._somebody()
        if node.runs and node.core is not None:
            node.feed(LeaderLost(node.core.role.leader, node.core.term))

    def coup(self) -> None:
        """The worst case for stale leaders: cut off or stopped, and everybody else is told at once that it is gone, while
        it is still asked to read and write."""
        leader = self.cluster.leader
        if leader is None or leader.core is None:
            return
        others = [id for id in self.cluster.nodes if id != leader.id]
        term = leader.core.term
        if self.cluster.rng.random() < 0.5:
            self.links.cut({(leader.id, other) for other in others} | {(other, leader.id) for other in others})
        else:
            self.power.pause(leader)
        for other in others:
            self.cluster.after(
                self.cluster.rng.expovariate(200.0), self.cluster.nodes[other].feed, LeaderLost(leader.id, term)
            )
        if self.cluster.parameters.ambushes and self.cluster.parameters.changes_rate:
            self.members.change()  # which only the one that is overthrown will know of
        for _ in range(10):
            self.cluster.after(self.cluster.rng.expovariate(5.0), self._read_still, leader)
            self.cluster.after(self.cluster.rng.expovariate(5.0), self._propose_still)
