"""Clients and trouble: what is asked of a simulated cluster, and what is done to it, at the rates of its parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from swarmtui.raft.effects import Role
from swarmtui.raft.inputs import LeaderLost, Reachable, TransferAsked, Unreachable
from swarmtui.sim.node import SimulatedNode

if TYPE_CHECKING:
    from swarmtui.sim.cluster import SimulatedCluster


def _ignore(why: str) -> None:
    """The observer has looked at it; nobody else asked."""


class Trouble:
    """Each kind strikes at random moments, at its rate, until `end`; each fault is healed after a while."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        self._goes_on = True

    def begin(self) -> None:
        parameters = self.cluster.parameters
        for rate, trouble in (
            (parameters.proposals_rate, self._propose),
            (parameters.reads_rate, self._read),
            (parameters.transfers_rate, self._transfer),
            (parameters.crashes_rate, self._crash_one),
            (parameters.partitions_rate, self._partition),
            (parameters.one_way_rate, self._cut_one_way),
            (parameters.pauses_rate, self._pause_one),
            (parameters.hints_rate, self._false_hint),
            (parameters.coups_rate, self._coup),
            (parameters.disk_failures_rate, self._fail_disk),
            (parameters.power_cuts_rate, self._cut_power),
        ):
            if rate:
                self._again(rate, trouble)

    def end(self) -> None:
        """Nothing new happens from now on."""
        self._goes_on = False

    def _again(self, rate: float, trouble: Callable[[], None]) -> None:
        self.cluster.after(self.cluster.rng.expovariate(rate), self._strike, rate, trouble)

    def _strike(self, rate: float, trouble: Callable[[], None]) -> None:
        if self._goes_on:
            trouble()
            self._again(rate, trouble)

    # ---- clients ----

    def _somebody(self) -> SimulatedNode:
        return self.cluster.rng.choice(list(self.cluster.nodes.values()))

    def _propose(self) -> None:
        """Mostly to the leader, sometimes to whoever believes to lead, sometimes to anybody."""
        leader = self.cluster.leader
        node = leader if leader is not None and self.cluster.rng.random() < 0.8 else self._somebody()
        count = self.cluster.rng.choice([1, 1, 1, 3, 10])
        size = self.cluster.rng.randint(1, self.cluster.parameters.payload_bytes_max)
        node.desk.propose(tuple(node.machine.payload(self.cluster.rng, size) for _ in range(count)))

    def _read(self) -> None:
        self._somebody().desk.read(_ignore)

    def _transfer(self) -> None:
        leader = self.cluster.leader
        if leader is not None:
            target = self.cluster.rng.choice(["", self._somebody().id])
            leader.feed(TransferAsked(leader.desk.new_ticket(), target))

    # ---- trouble ----

    def _for_a_while(self) -> float:
        return self.cluster.rng.expovariate(1.0) * self.cluster.parameters.fault_s

    def _crash_one(self) -> None:
        leader = self.cluster.leader
        self.crash(leader if leader is not None and self.cluster.rng.random() < 0.4 else self._somebody())

    def crash(self, node: SimulatedNode) -> None:
        """Power off one node; its peers' connections break, and new dials are refused until it is back."""
        if node.core is None:
            return
        term, led = node.core.term, node.core.role.kind is Role.LEADER
        node.crash()
        self.cluster.counts["crashes"] += 1
        for peer in self.cluster.nodes.values():
            if peer is not node:
                self.cluster.after(
                    self.cluster.rng.expovariate(500.0), self._lost, peer, peer.life, node, node.life, led, term
                )
        self.cluster.after(self._for_a_while(), self._restart, node, node.life)

    def _lost(self, peer: SimulatedNode, life: int, node: SimulatedNode, node_life: int, led: bool, term: int) -> None:
        """A peer's connection to a crashed node broke; while the dial is refused, that is a true hint."""
        if peer.life != life or peer.core is None or (peer.id, node.id) in self.cluster.network.cuts:
            return
        peer.feed(Unreachable(node.id))
        if led and node.life == node_life:
            peer.feed(LeaderLost(node.id, term))

    def _restart(self, node: SimulatedNode, life: int) -> None:
        if node.core is None and node.life == life:
            node.start()
            for peer in self.cluster.nodes.values():
                if peer is not node:
                    self.connect(node, peer)

    def connect(self, one: SimulatedNode, other: SimulatedNode) -> None:
        for here, there in ((one, other), (other, one)):
            if (
                here.core is not None
                and there.core is not None
                and (here.id, there.id) not in self.cluster.network.cuts
            ):
                here.feed(Reachable(there.id))

    def _partition(self) -> None:
        ids = list(self.cluster.nodes)
        self.cluster.rng.shuffle(ids)
        some = set(ids[: self.cluster.rng.randint(1, len(ids))])
        self._cut({(a, b) for a in ids for b in ids if a != b and (a in some) != (b in some)})

    def _cut_one_way(self) -> None:
        one = self._somebody().id
        outward = self.cluster.rng.random() < 0.5
        others = [id for id in self.cluster.nodes if id != one and self.cluster.rng.random() < 0.7]
        self._cut({(one, other) if outward else (other, one) for other in others})

    def _cut(self, paths: set[tuple[str, str]]) -> None:
        if not paths:
            return
        self.cluster.counts["cuts"] += 1
        self.cluster.note("", "cut " + " ".join(f"{a}>{b}" for a, b in sorted(paths)), None)
        self.cluster.network.cuts |= paths
        if self.cluster.rng.random() < 0.3:  # the transport noticed
            for source, target in sorted(paths):
                self.cluster.nodes[source].feed(Unreachable(target))
        self.cluster.after(self._for_a_while(), self._uncut, paths)

    def _uncut(self, paths: set[tuple[str, str]]) -> None:
        self.cluster.network.cuts -= paths
        if self.cluster.rng.random() < 0.5:
            for source, target in sorted(paths):
                if (source, target) not in self.cluster.network.cuts:
                    self.cluster.nodes[source].feed(Reachable(target))

    def _pause_one(self) -> None:
        self._pause(self._somebody())

    def _pause(self, node: SimulatedNode) -> None:
        if node.runs:
            self.cluster.note(node.id, "pause", None)
            self.cluster.counts["pauses"] += 1
            node.paused_until = self.cluster.now
            self.cluster.after(self._for_a_while() * 2, self._resume, node, node.life)

    def _resume(self, node: SimulatedNode, life: int) -> None:
        if node.life == life and node.paused_until is not None:
            node.resume()

    def _false_hint(self) -> None:
        """Somebody believes, wrongly, that its leader is gone."""
        node = self._somebody()
        if node.runs and node.core is not None:
            node.feed(LeaderLost(node.core.role.leader, node.core.term))

    def _coup(self) -> None:
        """The worst case for stale leaders: cut off or stopped, and everybody else is told at once that it is gone, while
        it is still asked to read and write."""
        leader = self.cluster.leader
        if leader is None or leader.core is None:
            return
        others = [id for id in self.cluster.nodes if id != leader.id]
        term = leader.core.term
        if self.cluster.rng.random() < 0.5:
            self._cut({(leader.id, other) for other in others} | {(other, leader.id) for other in others})
        else:
            self._pause(leader)
        for other in others:
            self.cluster.after(
                self.cluster.rng.expovariate(200.0), self.cluster.nodes[other].feed, LeaderLost(leader.id, term)
            )
        for _ in range(10):
            self.cluster.after(self.cluster.rng.expovariate(5.0), leader.desk.read, _ignore)
            self.cluster.after(self.cluster.rng.expovariate(5.0), self._propose)

    def _fail_disk(self) -> None:
        """The disk hangs for good, or a write fails: then the node stops, as it must."""
        node = self._somebody()
        if node.core is None:
            return
        if self.cluster.rng.random() < 0.5:
            self.cluster.note(node.id, "disk hangs", None)
            node.hung = True
            self.cluster.after(self._for_a_while() * 4, self._give_up, node, node.life)
        else:
            self.cluster.note(node.id, "disk fails", None)
            self.crash(node)

    def _give_up(self, node: SimulatedNode, life: int) -> None:
        if node.life == life:
            self.crash(node)

    def _cut_power(self) -> None:
        """Everything at once."""
        for node in self.cluster.nodes.values():
            self.crash(node)
