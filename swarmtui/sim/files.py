"""The real storage under a simulated node, on files in memory that lose power.

Every operation is done twice: by the model of `disk.py`, and by `RaftStorage` and `SnapshotFiles` on simulated files. A
power cut strikes in the middle of any write or sync of the batch that was being worked on; what the storage then gives
back must be what the model holds after some first part of that batch: nothing reported is lost, nothing is half there.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import attrs

from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.effects import InstallSnapshot, ReadChunk, Write, WriteChunk
from swarmtui.raft.entries import Entry
from swarmtui.raft.inputs import ChunkOutcome, ChunkWritten, Input
from swarmtui.raft.invariants import InvariantViolation, require
from swarmtui.raft.log import Log, Restored
from swarmtui.raft.messages import SnapshotMark
from swarmtui.sim.disk import DropLog, Operation, Ruin, SaveSnapshot, SimulatedDisk, checksum
from swarmtui.storage import recovery, simulated
from swarmtui.storage.errors import DiskFailure, StorageError
from swarmtui.storage.log import RaftStorage
from swarmtui.storage.seen import Seen, begin_start, note_seen, noted_beside

PATH = Path("/node/raft")
WRITING = frozenset({"write", "sync", "create", "rename", "unlink", "sync directory"})  # steps that can fail
NOTE_SYNCED_SHARE = 0.5  # of what is noted reaches the disk
NOTED_AT_LAST_SHARE = 0.5  # of crashes come right after such a note
NOTED_SHARE = 0.2  # of batches, after which it is noted beside the directory how far it has come
CUT_START_SHARE = 0.2  # of starts are cut off while they are counted
START_STEPS = 20
EPOCH_STEPS = 60  # at one of which the power fails while an epoch is begun, if it is not done by then
PIECE_BYTES = 100  # of a snapshot, as the state machine hands it over


class PowerCut(Exception):
    """Raised in the middle of an operation of the simulated files."""


class StoredDisk(SimulatedDisk):
    """A SimulatedDisk whose content is really stored, in segments of `segment_bytes`; `counts_starts`, with the small files
    that tell an older copy of the directory. `is_older`: such a copy was put back."""

    def __init__(
        self,
        configuration: Configuration,
        genesis: Entry | None,
        rng: random.Random,
        node_id: str,
        segment_bytes: int,
        counts_starts: bool = False,
    ) -> None:
        super().__init__(configuration, genesis, rng)
        self.node_id = node_id
        self.segment_bytes = segment_bytes
        self._told: dict[int, tuple[ChunkOutcome, int]] = {}  # what became of pieces, by operation
        self._log_in_hand = False  # while a Write is stored
        self.files = simulated.SimulatedDisk()
        first = None if genesis is None else configuration
        RaftStorage.create(PATH, node_id, first, file_ops=self.files, segment_bytes=segment_bytes)
        self.storage = self._open()
        self.counts_starts = counts_starts
        self.seen = self.started = Seen(member=node_id)  # what certainly lies beside the directory
        self.copy: tuple[Seen, int, simulated.SimulatedDisk] | None = None
        self.is_older = False

    def _open(self) -> RaftStorage:
        return RaftStorage.open(
            PATH, self.node_id, introduction=self.genesis, file_ops=self.files, segment_bytes=self.segment_bytes
        )

    def finish_batch(self) -> list[Input]:
        self._store(self.working)
        reports = super().finish_batch()
        self._told.clear()
        if self.counts_starts and self.rng.random() < NOTED_SHARE:
            self._note_seen()
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
                self._log_in_hand = True
                self.storage.write_many(writes)
                self._log_in_hand = False
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

    def crash(self, ruin: Ruin) -> None:
        """The end comes in the middle of the batch; what is found afterwards is some first part of it."""
        batch = self.working
        if self.counts_starts and self.rng.random() < NOTED_AT_LAST_SHARE:
            self._note_seen()
        if self._ruin_during(batch, ruin):
            self.files.lose_power(self.rng.random)
        else:
            self.files.lose_process()
        self._told.clear()
        self.storage = self._open()
        found = _essence(self.storage.restored)
        seen = [self._as_found()]
        for operation in batch:
            if found == seen[-1]:
                break
            self._perform(operation)
            seen.append(self._as_found())
        require(found == seen[-1], "the disk holds some first part of what was written", found=found, known=seen)
        marks = [*self.partial, *[operation.mark for operation in batch if isinstance(operation, WriteChunk)]]
        self._believe_storage(marks)
        self.working, self.waiting = [], []

    def _as_found(self) -> object:
        """What a start would find of the model now. It would put a whole snapshot in the log's place; what is behind it in the
        batch was written to that log."""
        base, entries = self.base, self.entries
        found = _essence(super().restore())
        self.base, self.entries = base, entries
        return found

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

    def _ruin_during(self, batch: list[Operation], ruin: Ruin) -> bool:
        """Store the batch up to a drawn step, which ends it. True if what was not synced is lost as well."""
        steps_left = self.rng.randint(0, 12 * len(batch))
        unsynced_lost = ruin is Ruin.POWER

        def on_step(what: str, path: Path, length: int) -> None:
            nonlocal steps_left, unsynced_lost
            steps_left -= 1
            if steps_left >= 0:
                return
            if ruin in (Ruin.POWER, Ruin.KILLED):
                raise PowerCut
            if what in WRITING:
                self.files.on_step = None  # once; whoever tried again would be told that all is well (fsync-gate)
                unsynced_lost = what == "sync"
                number = errno.EIO if ruin is Ruin.IO_ERROR else errno.ENOSPC
                raise OSError(number, os.strerror(number), str(path))

        self.files.on_step = on_step
        try:
            self._store(batch)
        except PowerCut:
            pass  # as it was meant
        except StorageError as error:
            if self._log_in_hand:
                self._refuses_for_good(error)
        finally:
            self.files.on_step = None
        return unsynced_lost

    def _refuses_for_good(self, failure: StorageError) -> None:
        """After a failure of the log nothing may be written by this process, however well the disk seems."""
        self._log_in_hand = False
        try:
            self.storage.write(Write(0, None, None, ()))
        except DiskFailure:
            return
        raise InvariantViolation("a disk that failed once is not written again", failure=failure)

    def flip_a_bit(self) -> bool:
        paths = [PATH / name for name in self.files.names(PATH)]
        path = self.rng.choice([path for path in paths if self.files.size(path)])
        self.files.flip(path, self.rng.randrange(self.files.size(path)), self.rng.randrange(8))
        return True

    def reopen(self) -> None:
        """Damage is either noticed, or was where nothing stands; an older copy is refused."""
        self.storage = self._open()
        if self.counts_starts:
            self._count_start()
            require(not self.is_older, "a directory that was put back is refused", node=self.node_id, seen=self.seen)
        newest = self.storage.restored.snapshot
        if newest is not None:
            for _ in self.storage.snapshots.open_chunks(newest):
                continue
        found, known = _essence(self.storage.restored), _essence(super().restore())
        require(found == known, "damage on a disk is noticed", found=found, known=known)
        self._believe_storage([*self.partial])

    # ---- a new epoch ----

    def begin_epoch(self, member: Member, state: recovery.State) -> SnapshotMark:
        """As `swarm init --force-new-cluster` does, of a node that is down. The power may fail on the way: then it is as it
        was, and begun again, or it is done."""
        before = _essence(self.storage.restored)

        def in_pieces(index: int, term: int) -> Iterable[bytes]:
            data = b"".join(state(index, term))
            return [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]

        self._until_cut(lambda: recovery.begin_epoch(self.storage, member, in_pieces), EPOCH_STEPS)
        mark = self.storage.restored.snapshot
        if mark is None or mark.index < recovery.INDEXES_SKIPPED:
            found = _essence(self.storage.restored)
            require(found == before, "an epoch is begun or not", found=found, before=before)
            mark = recovery.begin_epoch(self.storage, member, in_pieces)
            self.storage = self._open()
        data = self.storage.snapshots.read(mark, 0, mark.size_bytes)
        assert data is not None
        self.newest, self.snapshots, self.partial = mark, {mark: data}, {}
        self.base, self.entries, self.hard_state = mark.index, [], self.storage.restored.hard_state
        return mark

    def _until_cut(self, action: Callable[[], object], steps_max: int) -> None:
        """Do it until the power fails at some step of it, or when it is done."""
        steps_left = self.rng.randint(0, steps_max)

        def on_step(what: str, path: Path, length: int) -> None:
            nonlocal steps_left
            steps_left -= 1
            if steps_left < 0:
                raise PowerCut

        self.files.on_step = on_step
        try:
            action()
        except PowerCut:
            pass  # as it was meant
        finally:
            self.files.on_step = None
        self.files.lose_power(self.rng.random)
        self.storage = self._open()

    # ---- older copies ----

    def _count_start(self) -> None:
        """Sometimes not at the first try: the power fails in the middle. Raises OlderDirectory."""
        if self.rng.random() < CUT_START_SHARE:
            self._until_cut(self._begin_start, START_STEPS)
        self._begin_start()

    def _begin_start(self) -> None:
        restored = self.storage.restored
        snapshot = restored.snapshot.index if restored.snapshot is not None else 0
        last = restored.entries[-1].index if restored.entries else snapshot
        commit = max(restored.hard_state.commit, snapshot)
        now = Seen(member=self.node_id, term=restored.hard_state.term, commit=commit)
        self.seen = self.started = begin_start(PATH.parent, PATH, now, last, self.files)

    def _note_seen(self) -> None:
        """How far it has come. A power cut may take that, and what was noted before, unless it happens to be synced."""
        far = attrs.evolve(self.started, term=self.hard_state.term, commit=min(self.hard_state.commit, self.last))
        self.seen = self.started
        note_seen(PATH.parent, far, self.files)
        if self.rng.random() < NOTE_SYNCED_SHARE:
            self.files.open(noted_beside(PATH.parent)).sync()
            self.files.sync_directory(PATH.parent.parent)
            self.seen = far

    def copy_directory(self) -> None:
        """Somebody keeps a copy of it as it is now."""
        self.copy = (attrs.evolve(self.seen, term=self.hard_state.term), self.last, self.files.copy())

    def put_copy_back(self) -> bool:
        """Of a node that is down. False if there is no copy that must be noticed: one of before the last start, or of before
        what was noted since and is still there."""
        if self.copy is None:
            return False
        then, last, files = self.copy
        if then.starts == self.seen.starts and then.term >= self.seen.term and last >= self.seen.commit:
            return False
        self.files.put_back(files, PATH.parent)
        self.is_older = True
        return True

    def restore(self) -> Restored:
        return self.storage.restored if not self.working else super().restore()


def _essence(restored: Restored) -> tuple[object, ...]:
    """What a node begins with, however much of the old log the disk has dropped by then."""
    log = Log.restore(restored)
    after = restored.snapshot.index if restored.snapshot else 0
    return (restored.hard_state, restored.snapshot, log.last, tuple(log.between(after + 1, log.last)))
