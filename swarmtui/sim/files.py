"""The real storage under a simulated node, on files in memory that lose power.

Every operation is done twice: by the model of `disk.py`, and by `RaftStorage` and `SnapshotFiles` on simulated files. A
power cut strikes in the middle of any write or sync of the batch that was being worked on; what the storage then gives
back must be what the model holds after some first part of that batch: nothing reported is lost, nothing is half there.
"""

from __future__ import annotations

import random
from pathlib import Path

from swarmtui.raft.configuration import Configuration
from swarmtui.raft.effects import InstallSnapshot, ReadChunk, Write, WriteChunk
from swarmtui.raft.entries import Entry
from swarmtui.raft.inputs import ChunkOutcome, ChunkWritten, Input
from swarmtui.raft.invariants import require
from swarmtui.raft.log import Log, Restored
from swarmtui.raft.messages import SnapshotMark
from swarmtui.sim.disk import DropLog, Operation, SaveSnapshot, SimulatedDisk, checksum
from swarmtui.storage import simulated
from swarmtui.storage.log import RaftStorage

PATH = Path("/node/raft")
PIECE_BYTES = 100  # of a snapshot, as the state machine hands it over


class PowerCut(Exception):
    """Raised in the middle of an operation of the simulated files."""


class StoredDisk(SimulatedDisk):
    """A SimulatedDisk whose content is really stored, in segments of `segment_bytes`."""

    def __init__(
        self, configuration: Configuration, genesis: Entry, rng: random.Random, node_id: str, segment_bytes: int
    ) -> None:
        super().__init__(configuration, genesis, rng)
        self.node_id = node_id
        self.segment_bytes = segment_bytes
        self._told: dict[int, tuple[ChunkOutcome, int]] = {}  # what became of pieces, by operation
        self.files = simulated.SimulatedDisk()
        RaftStorage.create(PATH, node_id, configuration, file_ops=self.files, segment_bytes=segment_bytes)
        self.storage = self._open()

    def _open(self) -> RaftStorage:
        return RaftStorage.open(PATH, self.node_id, file_ops=self.files, segment_bytes=self.segment_bytes)

    def finish_batch(self) -> list[Input]:
        self._store(self.working)
        reports = super().finish_batch()
        self._told.clear()
        return reports

    def _write_chunk(self, write: WriteChunk) -> Input:
        """What the storage said of this piece holds; a snapshot that it calls complete must be that."""
        told = self._told.get(id(write))
        if told is None:
            return super()._write_chunk(write)
        outcome, next_offset = told
        self._read_parts([write.mark])
        if outcome is ChunkOutcome.COMPLETE:
            data = self.storage.snapshots.read(write.mark, 0, write.mark.size_bytes) or b""
            require(checksum(data) == write.mark.checksum, "a complete snapshot is whole", mark=write.mark)
            self._keep(write.mark, data)
        return ChunkWritten(write.mark, next_offset, outcome)

    def _store(self, batch: list[Operation]) -> None:
        """What a node's disk task does with these: Writes that come together are one frame and one sync."""
        writes: list[Write] = []
        for operation in [*batch, None]:
            if type(operation) is Write:
                writes.append(operation)
                continue
            if writes:
                self.storage.write_many(writes)
                writes = []
            if operation is not None:
                self._store_one(operation)

    def _store_one(self, operation: Operation) -> None:
        snapshots = self.storage.snapshots
        if isinstance(operation, WriteChunk):
            self._told[id(operation)] = snapshots.receive(operation.mark, operation.offset, operation.data)
        elif isinstance(operation, InstallSnapshot):
            self.storage.install(operation.mark, operation.kept)
        elif isinstance(operation, SaveSnapshot):
            mark, data = operation.mark, operation.data
            pieces = [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]
            saved = snapshots.save(mark.index, mark.term, mark.configuration, pieces)
            require(saved == mark, "a snapshot is stored as it was made", stored=saved, made=mark)
        elif isinstance(operation, DropLog):
            self.storage.compact(operation.index)
            snapshots.discard_older()
        else:
            assert isinstance(operation, ReadChunk)
            snapshots.read(operation.mark, operation.offset, operation.bytes_max)

    def crash(self) -> None:
        """Power is lost in the middle of the batch; what is found afterwards is some first part of it."""
        batch = self.working
        self._cut_power_during(batch)
        self._told.clear()
        self.storage = self._open()
        found = _essence(self.storage.restored)
        seen = [_essence(super().restore())]
        for operation in batch:
            if found == seen[-1]:
                break
            self._perform(operation)
            seen.append(_essence(super().restore()))
        require(found == seen[-1], "the disk holds some first part of what was written", found=found, known=seen)
        marks = [*self.partial, *[operation.mark for operation in batch if isinstance(operation, WriteChunk)]]
        self._believe_storage(marks)
        self.working, self.waiting = [], []

    def _believe_storage(self, marks: list[SnapshotMark]) -> None:
        """The model may have dropped more of the log, and cannot know which pieces of a snapshot arrived: from here on
        what was read is true. Pieces of a torn write are among them; the checksum of the whole will notice."""
        restored = self.storage.restored
        if restored.entries:
            self.base = restored.entries[0].index - 1
            self.entries = list(restored.entries)
        elif self.newest is not None:
            self.base, self.entries = self.newest.index, []
        self._read_parts(marks)
        for mark in [*self.snapshots]:
            if self.storage.snapshots.read(mark, 0, 1) is None:
                del self.snapshots[mark]

    def _read_parts(self, marks: list[SnapshotMark]) -> None:
        """What has arrived of these snapshots, as far as it lies on the disk."""
        parts = {f"{mark.index:016d}-{mark.term}-{mark.checksum}.part": mark for mark in marks}
        found = [name for name in self.files.names(PATH) if name in parts]
        self.partial = {parts[name]: self.files.read(PATH / name)[: parts[name].size_bytes] for name in found}

    def _cut_power_during(self, batch: list[Operation]) -> None:
        steps_left = self.rng.randint(0, 12 * len(batch))

        def on_step(what: str, path: Path, length: int) -> None:
            nonlocal steps_left
            if steps_left == 0:
                raise PowerCut
            steps_left -= 1

        self.files.on_step = on_step
        try:
            self._store(batch)
        except PowerCut:
            pass  # as it was meant
        finally:
            self.files.on_step = None
        self.files.lose_power(self.rng.random)

    def restore(self) -> Restored:
        return self.storage.restored if not self.working else super().restore()


def _essence(restored: Restored) -> tuple[object, ...]:
    """What a node begins with, however much of the old log the disk has dropped by then."""
    log = Log.restore(restored)
    after = restored.snapshot.index if restored.snapshot else 0
    return (restored.hard_state, restored.snapshot, log.last, tuple(log.between(after + 1, log.last)))
