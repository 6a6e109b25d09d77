"""What is done to simulated machines: power, processes, disks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmtui.raft.effects import Role
from swarmtui.raft.inputs import LeaderLost, Tick, Unreachable
from swarmtui.sim.disk import Ruin
from swarmtui.sim.files import StoredDisk
from swarmtui.sim.node import SimulatedNode

if TYPE_CHECKING:
    from swarmtui.sim.cluster import SimulatedCluster

LEADER_SHARE = 0.4  # of crashes meet whoever leads
EFFECTS_UNTIL_CRASH_MAX = 30
TICKS_OF_A_BURST_MAX = 20


class PowerTrouble:
    """Crashes, pauses, disks that hang, fail or forget."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        self.rng = cluster.rng

    def _somebody(self) -> SimulatedNode:
        return self.rng.choice(list(self.cluster.nodes.values()))

    def _victim(self) -> SimulatedNode:
        leader = self.cluster.leader
        return leader if leader is not None and self.rng.random() < LEADER_SHARE else self._somebody()

    def _for_a_while(self) -> float:
        return self.rng.expovariate(1.0) * self.cluster.parameters.fault_s

    # ---- crashes ----

    def crash_one(self) -> None:
        self.crash(self._victim())

    def kill_one(self) -> None:
        """The process ends, the machine does not: what was written is there, synced or not."""
        self.crash(self._victim(), Ruin.KILLED)

    def crash_midway(self) -> None:
        """Between two steps of carrying out what the core wants: some was sent or handed to the disk, the rest never is."""
        self._victim().effects_left = self.rng.randint(1, EFFECTS_UNTIL_CRASH_MAX)

    def cut_power(self) -> None:
        """Everything at once."""
        for node in self.cluster.nodes.values():
            self.crash(node)

    def crash(self, node: SimulatedNode, ruin: Ruin = Ruin.POWER) -> None:
        """One node ends; its peers' connections break, and new dials are refused until it is back."""
        if node.core is None:
            return
        cluster = self.cluster
        term, led = node.core.term, node.core.role.kind is Role.LEADER
        node.crash(ruin)
        cluster.counts["crashes" if ruin is Ruin.POWER else f"crashes ({ruin})"] += 1
        for peer in cluster.nodes.values():
            if peer is not node:
                cluster.after(self.rng.expovariate(500.0), self._lost, peer, peer.life, node, node.life, led, term)
        cluster.after(self._for_a_while(), self._restart, node, node.life)

    def _lost(self, peer: SimulatedNode, life: int, node: SimulatedNode, node_life: int, led: bool, term: int) -> None:
        """A peer's connection to a crashed node broke; while the dial is refused, that is a true hint."""
        if peer.life != life or peer.core is None or (peer.id, node.id) in self.cluster.network.cuts:
            return
        peer.feed(Unreachable(node.id))
        if led and node.life == node_life:
            peer.feed(LeaderLost(node.id, term))

    def _restart(self, node: SimulatedNode, life: int) -> None:
        if node.core is None and node.life == life and not node.is_out:
            self.start(node)

    def start(self, node: SimulatedNode) -> None:
        """It may find that its disk is not what it was; then it stays down."""
        node.start()
        for peer in self.cluster.nodes.values():
            if peer is not node:
                self.cluster.trouble.links.connect(node, peer)

    # ---- pauses and time ----

    def pause_one(self) -> None:
        self.pause(self._somebody())

    def pause(self, node: SimulatedNode) -> None:
        if node.runs:
            self.cluster.note(node.id, "pause", None)
            self.cluster.counts["pauses"] += 1
            node.paused_until = self.cluster.now
            self.cluster.after(self._for_a_while() * 2, self._resume, node, node.life)

    def _resume(self, node: SimulatedNode, life: int) -> None:
        if node.life == life and node.paused_until is not None:
            node.resume()

    def tick_burst(self) -> None:
        """Ticks that nobody was owed."""
        node = self._somebody()
        for _ in range(self.rng.randint(2, TICKS_OF_A_BURST_MAX)):
            node.feed(Tick())

    # ---- disks ----

    def fail_disk(self) -> None:
        """The disk hangs for good, fills up, or a write or a sync fails: then the node stops, as it must."""
        node = self._somebody()
        if node.core is None:
            return
        how = self.rng.choice(["hangs", Ruin.IO_ERROR, Ruin.NO_SPACE])
        self.cluster.note(node.id, f"disk {how}", None)
        if isinstance(how, Ruin):
            self.crash(node, how)
        else:
            node.hung = True
            self.cluster.after(self._for_a_while() * 4, self._give_up, node, node.life)

    def _give_up(self, node: SimulatedNode, life: int) -> None:
        if node.life == life:
            self.crash(node)

    def copy_or_put_back(self) -> None:
        """A directory is copied while its node runs, and put back while it is down: of a minority at most, as with damage."""
        node = self._somebody()
        if not isinstance(node.disk, StoredDisk) or node.is_out or node.suspect:
            return
        if node.core is not None:
            node.disk.copy_directory()
        elif self.cluster.trouble.members.may_lose(node) and node.disk.put_copy_back():
            node.suspect = True
            self.cluster.note(node.id, "an older copy of its directory is put back", None)
            self.cluster.counts["copies put back"] += 1

    def damage_disk(self) -> None:
        """A bit flips on the disk of a node that is down, or its whole directory is gone. Of a minority at most, for beyond
        that no algorithm helps; and what was noticed stays down."""
        down = [node for node in self.cluster.nodes.values() if node.core is None and not node.is_out and node.life]
        if not down:
            return
        node = self.rng.choice(down)
        if not self.cluster.trouble.members.may_lose(node):
            return
        if self.rng.random() < 0.3:
            node.lose_disk("its directory is gone")
        elif node.disk.flip_a_bit():
            node.suspect = True
            self.cluster.note(node.id, "a bit flips on its disk", None)
            self.cluster.counts["bit flips"] += 1
