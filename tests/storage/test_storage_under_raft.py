"""Whole simulated clusters of the real core on the real log: crashes cut its writes anywhere, and consensus must hold.

Goal: what `RaftStorage` gives back after any crash is what the core may begin with. Method: the simulator's disks are
replaced by ones that carry out every operation with the real classes on a simulated platter; a crash cuts an operation
at some step of the platter and loses any unsynced sectors. The simulator's observer checks every promise against these disks.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from pathlib import Path

import pytest

from swarmtui.raft.configuration import Configuration
from swarmtui.raft.effects import InstallSnapshot, ReadChunk, Write, WriteChunk
from swarmtui.raft.entries import Entry
from swarmtui.raft.inputs import ChunkRead, ChunkWritten, Input, SnapshotInstalled, SnapshotTaken, Written
from swarmtui.raft.log import Restored
from swarmtui.sim import node as simulated_node
from swarmtui.sim.cluster import SimulatedCluster
from swarmtui.sim.disk import DropLog, Operation, Ruin, SaveSnapshot, SimulatedDisk
from swarmtui.storage import simulated
from swarmtui.storage.log import RaftStorage

DIRECTORY = Path("/node/raft")
SEGMENT_BYTES = 8192
STEPS_MAX = 3  # of the platter, in the operation that a crash cuts: a write and its sync are two
SEED = int(os.environ.get("SWARMTUI_SIM_SEED", random.SystemRandom().randrange(10**9)))
SPENT_S = 4.0
EVER_FAILED = (766086597,)  # an answer to a read raised the commit index while a snapshot took the log's place


class PowerCutError(BaseException):
    """Cuts an operation."""


class RealLogDisk(SimulatedDisk):
    """The simulator's disk with the real log beneath: what the observer reads (`entries`, `hard_state`, `snapshots`) is
    what the real log said it made durable, and after a crash what it recovered."""

    crashes = 0
    torn = 0

    def __init__(self, configuration: Configuration, genesis: Entry | None, rng: random.Random) -> None:
        super().__init__(configuration, genesis, rng)
        self.platter = simulated.SimulatedDisk()
        first = None if genesis is None else configuration
        RaftStorage.create(DIRECTORY, "n", first, file_ops=self.platter, segment_bytes=SEGMENT_BYTES)
        self.storage = self._open()
        assert self.storage.restored.entries == (() if genesis is None else (genesis,))

    def _open(self) -> RaftStorage:
        return RaftStorage.open(
            DIRECTORY, "n", introduction=self.genesis, file_ops=self.platter, segment_bytes=SEGMENT_BYTES
        )

    def restore(self) -> Restored:
        self.platter.lose_process()
        self.storage = self._open()
        self._look()
        return self.storage.restored

    def _look(self) -> None:
        """What is on the platter now, for the observer."""
        restored = self.storage.restored
        self.hard_state, self.newest = restored.hard_state, restored.snapshot
        self.entries = list(restored.entries)
        self.base = self.entries[0].index - 1 if self.entries else self.newest.index if self.newest else 0
        self.snapshots = {}
        if self.newest is not None:
            self.snapshots[self.newest] = b"".join(self.storage.snapshots.open_chunks(self.newest))

    # ---- operations, as a node's disk loop carries them out

    def finish_batch(self) -> list[Input]:
        done, self.working = self.working, []
        return [report for group in _groups(done) for report in self._carry_out(group)]

    def _carry_out(self, group: list[Operation]) -> list[Input]:
        if isinstance(group[0], Write):
            writes = [write for write in group if isinstance(write, Write)]
            self.storage.write_many(writes)
            for write in writes:
                self._write(write)
            return [Written(writes[-1].sequence)]
        report = self._carry_out_one(group[0])
        return [] if report is None else [report]

    def _carry_out_one(self, operation: Operation) -> Input | None:
        storage, snapshots = self.storage, self.storage.snapshots
        if isinstance(operation, ReadChunk):
            data = snapshots.read(operation.mark, operation.offset, operation.bytes_max)
            return ChunkRead(operation.peer, operation.mark, operation.offset, data or b"", missing=data is None)
        if isinstance(operation, WriteChunk):
            outcome, next_offset = snapshots.receive(operation.mark, operation.offset, operation.data)
            return ChunkWritten(operation.mark, next_offset, outcome)
        if isinstance(operation, InstallSnapshot):
            storage.install(operation.mark, operation.kept)
            self._keep(operation.mark, b"".join(snapshots.open_chunks(operation.mark)))
            self.base, self.entries = operation.mark.index, list(operation.kept)
            return SnapshotInstalled(operation.mark)
        if isinstance(operation, SaveSnapshot):
            mark = operation.mark
            assert snapshots.save(mark.index, mark.term, mark.configuration, [operation.data]) == mark
            self._keep(mark, operation.data)
            return SnapshotTaken(mark)
        assert isinstance(operation, DropLog)
        storage.compact(operation.index)
        snapshots.discard_older()
        return None

    # ---- crashes

    def crash(self, ruin: Ruin) -> None:
        groups = _groups(self.working)
        whole = self.rng.randint(0, len(groups))
        for group in groups[:whole]:
            self._carry_out(group)
        self._cut_after(self.rng.randint(0, STEPS_MAX))
        try:
            for group in groups[whole : whole + 1]:
                self._carry_out(group)
        except PowerCutError:
            type(self).torn += 1
        self.platter.on_step = None
        self.working, self.waiting = [], []
        type(self).crashes += 1
        if ruin is Ruin.POWER:
            self.platter.lose_power(self.rng.random)
        else:
            self.platter.lose_process()
        self.storage = self._open()
        self._look()

    def _cut_after(self, steps: int) -> None:
        count = itertools.count(1)

        def on_step(what: str, path: Path, length: int) -> None:
            if next(count) > steps:
                raise PowerCutError

        self.platter.on_step = on_step


def _groups(operations: list[Operation]) -> list[list[Operation]]:
    """Writes that stand together are one group, anything else is one by itself."""
    groups: list[list[Operation]] = []
    for operation in operations:
        if isinstance(operation, Write) and groups and isinstance(groups[-1][-1], Write):
            groups[-1].append(operation)
        else:
            groups.append([operation])
    return groups


@pytest.fixture(autouse=True)
def _real_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_node, "SimulatedDisk", RealLogDisk)


@pytest.mark.parametrize("seed", EVER_FAILED)
def test_a_seed_that_ever_failed_does_so_no_more(seed: int) -> None:
    SimulatedCluster(seed).run()


def test_consensus_holds_on_the_real_log_over_fresh_seeds() -> None:
    RealLogDisk.crashes = RealLogDisk.torn = 0
    ends_at = time.perf_counter() + SPENT_S
    seed = SEED
    while time.perf_counter() < ends_at or not RealLogDisk.torn:
        SimulatedCluster(seed).run()
        seed += 1
    print(f"\nsimulated seeds {SEED}..{seed - 1}: {RealLogDisk.crashes} crashes, {RealLogDisk.torn} in a write")
