"""The second act of some runs: the majority is lost for good, and a survivor begins a new epoch with what its disk holds.

Everything ends in the middle of a load; one voter's directory is made that of the only voter (`storage.recovery`, which the
power may cut off); new members join it. A few of those that were put out come back with their old disks: fewer than a quorum
of anything that they know, for two epochs that both go on are beyond what anybody can mend. They must be told, and disturb
nobody. What only the others had is lost; what is written from now on has versions that nobody ever saw.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from swarmtui.raft.changes import AddVoter
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import MembersAsked
from swarmtui.raft.invariants import require
from swarmtui.raft.quorum import Quorum
from swarmtui.sim.disk import Ruin
from swarmtui.sim.files import StoredDisk
from swarmtui.sim.invariants import Committed, Observer, ids_of
from swarmtui.sim.machine import StoreMachine
from swarmtui.sim.node import SimulatedNode
from swarmtui.storage.recovery import NoSurvivor, holding_of

if TYPE_CHECKING:
    from swarmtui.sim.cluster import SimulatedCluster

LOAD_S = 0.3  # of writes, over links that are cut at random, before everything ends
PROPOSALS = 30
NEWCOMERS_MAX = 4
GHOSTS_LATE_S = 1.0  # until somebody who was put out comes back, at most


class NewEpoch:
    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        self.rng = random.Random(f"epoch {cluster.seed}")
        self.is_over = False  # the epoch before

    def begin_anew(self) -> None:
        """Of a healed cluster; leaves one."""
        cluster = self.cluster
        self._end_in_the_middle()
        survivor = self._survivor()
        if survivor is None:
            return
        cluster.counts["new epochs"] += 1
        self._write_epoch(survivor)
        self._put_out(survivor)
        survivor.start()
        highest = max((one.version or 0 for one in cluster.clients.history), default=0)
        cluster.clients.history.clear()
        self._ask_others_to_join(survivor)
        cluster.run_until(cluster.now + GHOSTS_LATE_S)
        cluster.healing.recover()
        cluster.healing.stay_whole()
        cluster.healing.serve_everybody()
        for operation in cluster.clients.history:
            if operation.writes and operation.version is not None:
                require(operation.version > highest, "a version never comes up twice", operation=operation, old=highest)

    # ---- the end of the old one ----

    def _end_in_the_middle(self) -> None:
        """Each log ends where it happens to."""
        cluster, leader = self.cluster, self.cluster.leader
        assert leader is not None
        for _ in range(PROPOSALS):
            payload = leader.machine.payload(self.rng, 30)
            cluster.after(self.rng.uniform(0, LOAD_S), leader.desk.propose, (payload,))
        for other in list(cluster.nodes):
            if other != leader.id and self.rng.random() < 0.5:
                cuts = {(leader.id, other), (other, leader.id)}
                cluster.after(self.rng.uniform(0, LOAD_S), self._cut, cuts)
        cluster.run_until(cluster.now + self.rng.uniform(0, LOAD_S))
        self.is_over = True
        for node in cluster.nodes.values():
            if node.core is not None:
                node.crash(Ruin.POWER)
        cluster.network.heal()

    def _cut(self, paths: set[tuple[str, str]]) -> None:
        if not self.is_over:
            self.cluster.network.cuts |= paths

    def _survivor(self) -> SimulatedNode | None:
        """Anybody that its own log knows as a member, and that is not out."""
        nodes = [node for node in self.cluster.nodes.values() if not node.is_out and isinstance(node.disk, StoredDisk)]
        self.rng.shuffle(nodes)
        for node in nodes:
            assert isinstance(node.disk, StoredDisk)
            node.disk.reopen()
            restored = node.disk.restore()
            if (restored.snapshot or restored.entries) and holding_of(restored).configuration.member(node.id):
                return node
        return None

    # ---- the new one ----

    def _write_epoch(self, survivor: SimulatedNode) -> None:
        disk = survivor.disk
        assert isinstance(disk, StoredDisk)
        member = holding_of(disk.restore()).configuration.member(survivor.id)
        assert member is not None
        knew = {id for known in disk.configurations() for id in (*known.removed, *ids_of(known.members))}
        machine = self._replayed(disk)
        frozen = machine.store.freeze()

        def state(index: int, term: int) -> Iterable[bytes]:
            machine.index = index
            return [machine.head(), *attrs.evolve(frozen, index=index, term=term).chunks()]

        try:
            mark = disk.begin_epoch(member, state)
        except NoSurvivor as error:
            raise AssertionError(f"{survivor.id} was chosen as a survivor: {error}") from None
        self.cluster.note(survivor.id, f"begins a new epoch at {mark.index}/t{mark.term}", None)
        observer = self.cluster.observer = Observer(self.cluster.nodes, base=mark.index - 1)
        entry = Entry(mark.index, mark.term, EntryKind.NOOP)
        observer.committed[mark.index] = Committed(mark.term, mark.term, entry, machine.digest)
        observer.removed = knew - {survivor.id}
        observer.on_quorum = mark.index

    @staticmethod
    def _replayed(disk: StoredDisk) -> StoreMachine:
        """All that its log holds, committed or not."""
        machine, restored = StoreMachine(), disk.restore()
        if restored.snapshot is not None:
            machine.load(disk.snapshots[restored.snapshot])
        for entry in restored.entries:
            if entry.index > machine.index:
                machine.apply(entry)
        return machine

    def _put_out(self, survivor: SimulatedNode) -> None:
        """Everybody else is out; a few do not know it. Those ask the survivor for its vote, or nobody; who knows none but others
        that are out would be told by none."""
        others = [node for node in self.cluster.nodes.values() if node is not survivor and not node.is_out]
        self.rng.shuffle(others)
        ghosts: set[str] = set()
        for node in others:
            wider = ghosts | {node.id}
            asks_survivor = all(survivor.id in known.voter_ids for known in node.disk.configurations())
            if node.id in self.cluster.observer.removed and asks_survivor and not self._rules(others, wider):
                ghosts = wider
                late_s = self.rng.uniform(0, GHOSTS_LATE_S)
                self.cluster.after(late_s, self.cluster.trouble.power.start, node)
                self.cluster.counts["ghosts"] += 1
            else:
                node.retired = True

    @staticmethod
    def _rules(others: list[SimulatedNode], ids: set[str]) -> bool:
        """Whether these are a quorum of any configuration that one of them knows."""
        for node in others:
            for known in node.disk.configurations():
                if Quorum(ids_of(known.voters), ids_of(known.outgoing)).reached(ids):
                    return True
        return False

    def _ask_others_to_join(self, survivor: SimulatedNode) -> None:
        cluster = self.cluster
        cluster.run_until(cluster.now + 1.0, lambda: cluster.leader is survivor)
        core = survivor.core
        require(core is not None and cluster.leader is survivor, "a survivor leads at once", node=survivor.id)
        assert core is not None
        cluster.run_until(cluster.now + 1.0, lambda: core.log.commit == core.log.last)
        joining = {
            member.id: AddVoter(member)
            for member in (
                cluster.trouble.members.newcomer(core.members.current)
                for _ in range(self.rng.randint(1, NEWCOMERS_MAX))
            )
        }
        survivor.feed(MembersAsked(survivor.desk.new_ticket(), core.term, tuple(joining.values())))
