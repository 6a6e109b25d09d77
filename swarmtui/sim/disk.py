"""A simulated disk: what is durable, and what is on its way there.

Operations wait in one queue, as they do for the storage's worker thread; the disk takes all that wait, works for the time
of one sync, and only then are they durable and reported. A crash in between leaves any prefix of that batch durable,
unreported; nothing of what still waits. A read waits in the same queue.
"""

from __future__ import annotations

import enum
import hashlib
import random

import attrs

from swarmtui.raft.configuration import Configuration
from swarmtui.raft.effects import HardState, InstallSnapshot, ReadChunk, Write, WriteChunk
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import ChunkOutcome, ChunkRead, ChunkWritten, Input, SnapshotInstalled, SnapshotTaken, Written
from swarmtui.raft.invariants import require
from swarmtui.raft.log import Restored
from swarmtui.raft.members import Members
from swarmtui.raft.messages import SnapshotMark


@attrs.frozen
class SaveSnapshot:
    """The node's own snapshot: its state at `mark`."""

    mark: SnapshotMark
    data: bytes


@attrs.frozen
class DropLog:
    """Compact: the log up to `index` is not needed any more; storage drops it in pieces as large as it likes."""

    index: int


class Ruin(enum.StrEnum):
    """How the life of a node's process ends."""

    POWER = "power"  # what was not synced may be gone
    KILLED = "killed"  # what was written is seen by the next process
    IO_ERROR = "I/O error"  # one write or sync fails; whatever it was is not tried again
    NO_SPACE = "no space"


Operation = Write | InstallSnapshot | WriteChunk | ReadChunk | SaveSnapshot | DropLog


def checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class SimulatedDisk:
    """`entries` are those of the log on disk, the first at `base + 1`; `snapshots` holds the newest and one older."""

    def __init__(self, configuration: Configuration, genesis: Entry | None, rng: random.Random) -> None:
        """Without a genesis: of a node that joins, whose log is empty, and that was told of `configuration`."""
        self.rng = rng
        self.hard_state = HardState() if genesis is None else HardState(1, "", 1)
        self.genesis = configuration
        self.base = 0
        self.entries: list[Entry] = [] if genesis is None else [genesis]
        self.snapshots: dict[SnapshotMark, bytes] = {}
        self.newest: SnapshotMark | None = None
        self.partial: dict[SnapshotMark, bytes] = {}
        self.waiting: list[Operation] = []
        self.working: list[Operation] = []

    # ---- what the cluster's invariants look at ----

    @property
    def last(self) -> int:
        return self.base + len(self.entries)

    def holds(self, index: int, term: int) -> bool:
        """Whether this entry is durable here, in the log or inside a snapshot."""
        if self.base < index <= self.last:
            return self.entries[index - self.base - 1].term == term
        return self.newest is not None and index <= self.newest.index

    def configurations(self) -> list[Configuration]:
        """The one in force, by what is on this disk, and the one before it."""
        members = Members(self.newest.configuration if self.newest else self.genesis, 0)
        members.append(entry for entry in self.entries if entry.kind is EntryKind.CONFIGURATION)
        return [members.current, members.previous]

    # ---- life ----

    def take_batch(self) -> bool:
        """Begin to work on all that waits; False if there is nothing, or the disk is busy."""
        if self.working or not self.waiting:
            return False
        self.working, self.waiting = self.waiting, []
        return True

    def finish_batch(self) -> list[Input]:
        """The sync is done: everything is durable. The reports, in order."""
        done, self.working = self.working, []
        reports: list[Input] = []
        for operation in done:
            report = self._perform(operation)
            if report is not None:
                reports.append(report)
        return reports

    def crash(self, ruin: Ruin) -> None:
        """The process is gone: some first part of the batch has reached the disk, the rest never was."""
        for operation in self.working[: self.rng.randint(0, len(self.working))]:
            self._perform(operation)
        self.working, self.waiting = [], []

    def flip_a_bit(self) -> bool:
        """Damage at rest; False if there is nothing to flip, as here, where nothing is really stored."""
        return False

    def reopen(self) -> None:
        """What a start does first. Raises StorageError if the disk is not what it was."""

    def restore(self) -> Restored:
        """What a start finds. Entries before the snapshot are still there as far as they were not dropped; a snapshot that
        was received whole, but not yet put in place of a log that it does not continue, is put there now."""
        newest = self.newest
        if newest is not None and (newest.index > self.last or not self._agrees(newest)):
            self.base, self.entries = newest.index, []
        return Restored(
            hard_state=self.hard_state,
            snapshot=self.newest,
            configuration=self.newest.configuration if self.newest else self.genesis,
            entries=tuple(self.entries),
        )

    def _agrees(self, mark: SnapshotMark) -> bool:
        at = mark.index - self.base - 1
        return at < 0 or self.entries[at].term == mark.term

    # ---- operations ----

    def _perform(self, operation: Operation) -> Input | None:
        if type(operation) is Write:
            self._write(operation)
            return Written(operation.sequence)
        if type(operation) is ReadChunk:
            return self._read_chunk(operation)
        if type(operation) is WriteChunk:
            return self._write_chunk(operation)
        if type(operation) is InstallSnapshot:
            return self._install(operation)
        if type(operation) is SaveSnapshot:
            self._keep(operation.mark, operation.data)
            return SnapshotTaken(operation.mark)
        assert isinstance(operation, DropLog)
        self._drop(self.rng.randint(self.base, operation.index) if operation.index > self.base else self.base)
        return None

    def _write(self, write: Write) -> None:
        if write.truncate_after is not None and write.truncate_after < self.last:
            require(write.truncate_after >= self.base, "the log on disk is truncated behind its base", write=write)
            del self.entries[write.truncate_after - self.base :]
        if write.entries:
            require(
                write.entries[0].index == self.last + 1,
                "entries on disk follow one another",
                last=self.last,
                first=write.entries[0],
            )
            self.entries.extend(write.entries)
        if write.hard_state is not None:
            self.hard_state = write.hard_state

    def _drop(self, index: int) -> None:
        if index > self.base:
            del self.entries[: index - self.base]
            self.base = index

    def _keep(self, mark: SnapshotMark, data: bytes) -> None:
        if self.newest is None or mark.index > self.newest.index:
            self.snapshots = {old: kept for old, kept in self.snapshots.items() if old == self.newest}
            self.snapshots[mark] = data
            self.newest = mark
        else:  # a later leader's older one, after a newer one had arrived and was not installed: kept beside it
            self.snapshots[mark] = data

    def _read_chunk(self, read: ReadChunk) -> Input:
        data = self.snapshots.get(read.mark)
        if data is None:
            return ChunkRead(read.peer, read.mark, read.offset, b"", missing=True)
        return ChunkRead(read.peer, read.mark, read.offset, data[read.offset : read.offset + read.bytes_max])

    def _write_chunk(self, write: WriteChunk) -> Input:
        mark = write.mark
        if mark in self.snapshots:
            return ChunkWritten(mark, mark.size_bytes, ChunkOutcome.COMPLETE)
        have = self.partial.get(mark, b"")
        if write.offset == len(have):
            have += write.data
            self.partial = {mark: have}
        if len(have) < mark.size_bytes:
            return ChunkWritten(mark, len(have), ChunkOutcome.STORED)
        self.partial = {}
        if checksum(have) != mark.checksum:
            return ChunkWritten(mark, 0, ChunkOutcome.DAMAGED)
        self._keep(mark, have)  # whole and named: a start would find it
        return ChunkWritten(mark, len(have), ChunkOutcome.COMPLETE)

    def _install(self, install: InstallSnapshot) -> Input:
        self.base = install.mark.index
        self.entries = list(install.kept)
        return SnapshotInstalled(install.mark)
