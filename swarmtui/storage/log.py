"""The log on disk: what the core wants written, durable when `write` returns, and given back by `open`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from swarmtui.raft.configuration import Configuration, InvalidConfiguration, decode_configuration, encode_configuration
from swarmtui.raft.effects import HardState, Write
from swarmtui.raft.entries import ENTRY_FORMAT, Entry, EntryKind
from swarmtui.raft.log import Restored
from swarmtui.raft.messages import SnapshotMark
from swarmtui.storage.errors import (
    DamagedLog,
    DirectoryMissing,
    DiskFailure,
    ForeignDirectory,
    NewerFormat,
    OutOfSequence,
)
from swarmtui.storage.files import REAL, File, FileOps
from swarmtui.storage.frames import encode_frame, space_of
from swarmtui.storage.records import (
    Image,
    MalformedRecord,
    NewerRecord,
    Record,
    decode_records,
    encode_record,
)
from swarmtui.storage.segments import (
    FILE_HEAD_BYTES,
    SEGMENT_BYTES,
    ReadSegment,
    encode_file_head,
    read_segment,
    segment_name,
    segment_number,
    segment_seed,
)
from swarmtui.storage.snapshots import SnapshotFiles

TEMPORARY = ".tmp"
FILLED_AHEAD_BYTES = 256 * 1024  # of zeros, written behind a frame that enters blocks that were only allocated
GENESIS_TERM = 1


@attrs.define
class Segment:
    """One file of the log. `highest` is the highest index of any entry in it, dead ones included."""

    number: int
    path: Path
    size: int
    highest: int


@attrs.define
class Tail:
    """Where the next frame goes: the newest segment, open."""

    file: File
    offset: int
    size: int
    frames: int
    chain: int
    seed: int
    filled: int = 0  # up to here its blocks have been written


class RaftStorage:
    """The log and the snapshots of one manager. `restored` is what the core begins with, `notes` what recovery had to do.

    `failure` is None until a write or sync fails; from then on every call raises it.
    """

    def __init__(self, path: Path, node_id: str, files: FileOps, segment_bytes: int) -> None:
        self.path = path
        self.segment_bytes = segment_bytes
        self.node_id = node_id
        self.files = files
        self.notes: list[str] = []
        self.failure: DiskFailure | None = None
        self.snapshots = SnapshotFiles(path, files=files)
        self.discarded = self.snapshots.discarded
        self._segments: list[Segment] = []
        self._tail: Tail | None = None
        self._hard_state = HardState()
        self._last = 0
        self._head = 0
        self._head_written = 0
        self._introduction: Configuration | None = None
        self.restored: Restored

    # ---- birth and recovery

    @classmethod
    def create(
        cls,
        path: Path,
        node_id: str,
        configuration: Configuration | None,
        *,
        file_ops: FileOps = REAL,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        """The log of a manager of a new cluster: the configuration, committed, as entry 1 of term 1. Without one the log
        of a manager that joins a cluster: empty, the leader fills it. Durable on return."""
        storage = cls(path, node_id, file_ops, segment_bytes)
        try:
            file_ops.make_directory(path)
            if any(segment_number(name) is not None for name in file_ops.names(path)):
                raise ForeignDirectory(path, "it holds a log already, and a log is never begun twice")
            storage._open_segment(1, 0)
            if configuration is not None:
                genesis = Entry(1, GENESIS_TERM, EntryKind.CONFIGURATION, encode_configuration(configuration))
                storage._append([Record(hard_state=HardState(GENESIS_TERM, "", 1), entries=(genesis,))])
            file_ops.sync_directory(path.parent)
        except OSError as error:
            raise DiskFailure("creation", path, error) from error
        finally:
            storage.close()

    @classmethod
    def open(
        cls,
        path: Path,
        node_id: str,
        *,
        introduction: Configuration | None = None,
        file_ops: FileOps = REAL,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> RaftStorage:
        """Recovers what is there. `introduction` names the members that a manager knows of whose log is still empty; this
        one is not among them, so that it neither votes nor stands before the log makes it a member. Raises
        DirectoryMissing, DamagedLog, DamagedSnapshot, NewerFormat or DiskFailure."""
        storage = cls(path, node_id, file_ops, segment_bytes)
        storage._introduction = introduction
        try:
            storage._recover()
        except OSError as error:
            storage.close()
            raise DiskFailure("recovery", path, error) from error
        except BaseException:
            storage.close()
            raise
        return storage

    def _recover(self) -> None:
        try:
            names = self.files.names(self.path)
        except FileNotFoundError:
            raise DirectoryMissing(self.path) from None
        self._drop_temporary(names)
        numbers = sorted(number for name in names if (number := segment_number(name)) is not None)
        if not numbers:
            raise DirectoryMissing(self.path)
        image = Image()
        read: ReadSegment | None = None
        for position, number in enumerate(numbers):
            path = self.path / segment_name(number)
            if number != numbers[0] + position:
                raise DamagedLog(path, 0, f"the segment before it, {segment_name(numbers[0] + position)}, is missing")
            following = read_segment(path, self._read_file(path), self.node_id, number)
            if read is not None and (read.torn is not None or read.chain != following.previous):
                before = self.path / segment_name(read.number)
                raise DamagedLog(before, read.end, f"frames are missing at its end, yet {path.name} follows it")
            read = following
            highest = self._take(image, read, path, begins=position == 0)
            self._segments.append(Segment(number, path, self.files.size(path), highest))
        assert read is not None
        self._continue(read)
        image.drop_head()
        self._hard_state, self._last = image.hard_state, image.last
        self._head = self._head_written = image.head
        self.restored = self._restore(image)

    def _take(self, image: Image, read: ReadSegment, path: Path, begins: bool) -> int:
        """Folds a segment into the image; the highest index in it."""
        highest = 0
        for offset, body in read.frames:
            try:
                for record in decode_records(body):
                    image.take(record, begins)
                    begins = False
                    highest = max(highest, image.last)
            except MalformedRecord as error:
                raise DamagedLog(path, offset, str(error)) from None
            except NewerRecord as error:
                raise NewerFormat(path, "entry", error.found, ENTRY_FORMAT) from None
        return highest

    def _continue(self, read: ReadSegment) -> None:
        """Opens the newest segment behind its last whole frame, and makes durable what was read."""
        segment = self._segments[-1]
        file = self.files.open(segment.path)
        self._tail = Tail(file, read.end, segment.size, len(read.frames), read.chain, read.seed)
        if read.torn is not None:
            file.write_at(bytes(read.dirty_end - read.end), read.end)
            self.notes.append(
                f"{segment.path.name}: truncated at byte {read.end} {read.torn}; it was never acknowledged"
            )
        file.sync()
        self.files.sync_directory(self.path)

    def _restore(self, image: Image) -> Restored:
        """The core's beginning: the newest snapshot and the entries around and behind it."""
        mark = self.snapshots.newest()
        entries = tuple(image.entries)
        path = self._segments[0].path
        if mark is None:
            if not entries and not image.base and not image.hard_state.commit and self._introduction is not None:
                return Restored(image.hard_state, None, self._introduction)
            if not entries or entries[0].index != 1:
                raise DamagedLog(path, 0, f"the log begins behind index {image.base} and its snapshot is missing")
            return Restored(image.hard_state, None, self._genesis(entries[0], path), entries)
        if image.base > mark.index:
            reason = f"the log begins behind index {image.base}, the newest snapshot is of index {mark.index}"
            raise DamagedLog(path, 0, reason)
        self.snapshots.stand_on(mark)
        at = mark.index - image.base - 1
        agrees = at < len(entries) and (at < 0 or entries[at].term == mark.term)
        if not agrees:
            # A received snapshot was whole, and the log not yet cut: what had begun is finished here.
            self._append([Record(reset=mark.index)])
            self._drop_segments_before_tail()
            self.discarded.close()  # nobody else uses the disk yet
            self.notes.append(f"the log was put behind the received snapshot of index {mark.index}")
            entries = ()
        return Restored(image.hard_state, mark, mark.configuration, entries)

    def _genesis(self, entry: Entry, path: Path) -> Configuration:
        try:
            return decode_configuration(entry.data)
        except InvalidConfiguration as error:
            raise DamagedLog(path, 0, f"its first entry holds no configuration: {error}") from None

    def _read_file(self, path: Path) -> bytes:
        size = self.files.size(path)
        file = self.files.open(path)
        try:
            return file.read_at(0, size)
        finally:
            file.close()

    def _drop_temporary(self, names: Sequence[str]) -> None:
        for name in names:
            if name.endswith(TEMPORARY):
                self.files.unlink(self.path / name)

    # ---- writing

    def write(self, write: Write) -> None:
        """Makes one Write durable. Raises DiskFailure."""
        self.write_many((write,))

    def write_many(self, writes: Sequence[Write]) -> None:
        """Makes these durable together: one frame, one sync. Raises DiskFailure."""
        self._refuse_after_failure()
        records: list[Record] = []
        hard_state, last = self._hard_state, self._last
        for write in writes:
            if write.truncate_after is not None:
                last = min(last, write.truncate_after)
            if write.entries:
                if write.entries[0].index != last + 1:
                    raise OutOfSequence(f"entry {write.entries[0].index} cannot follow {last} on disk")
                last = write.entries[-1].index
            if write.hard_state is not None:
                if write.hard_state.term < hard_state.term:
                    raise OutOfSequence(f"term {write.hard_state.term} cannot follow {hard_state.term} on disk")
                hard_state = write.hard_state
            records.append(Record(truncate=write.truncate_after, hard_state=write.hard_state, entries=write.entries))
        self._guarded("writing", lambda: self._append(records))

    def install(self, mark: SnapshotMark, kept: Sequence[Entry]) -> None:
        """The log begins behind this snapshot, which is durable, with the entries `kept`. Raises DiskFailure."""
        self._refuse_after_failure()
        if kept and kept[0].index != mark.index + 1:
            raise OutOfSequence(f"entry {kept[0].index} cannot follow the snapshot of index {mark.index}")
        self.snapshots.stand_on(mark)
        self._guarded("writing", lambda: self._append([Record(reset=mark.index, entries=tuple(kept))]))
        self._guarded("compaction", self._drop_segments_before_tail)

    def compact(self, index: int) -> None:
        """Entries up to `index` are no longer needed: whole segments are discarded. Raises DiskFailure."""
        self._refuse_after_failure()
        self._head = max(self._head, min(index, self._last))
        gone = 0
        while gone < len(self._segments) - 1 and self._segments[gone].highest <= index:
            gone += 1
        if gone:
            self._guarded("compaction", lambda: self._drop_segments(gone))

    def free_bytes(self) -> int:
        """What may still be written to this disk."""
        return self.files.free_bytes(self.path)

    @property
    def size_bytes(self) -> int:
        """What the segments take."""
        return sum(segment.size for segment in self._segments)

    def close(self) -> None:
        """Lets go of the newest segment, and of what was discarded. Nothing is written."""
        self.discarded.close()
        if self._tail is not None:
            self._tail.file.close()
            self._tail = None

    def _refuse_after_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _guarded(self, what: str, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            self.failure = DiskFailure(what, self._segments[-1].path, error)
            raise self.failure from error

    def _append(self, records: Sequence[Record]) -> None:
        """One frame with these records, in the newest segment or, if that is full, in a new one."""
        parts: list[bytes] = []
        if self._head > self._head_written:
            parts.extend(encode_record(Record(head=self._head)))
            self._head_written = self._head
        for record in records:
            parts.extend(encode_record(record))
        space = space_of(sum(map(len, parts)))
        tail = self._tail
        assert tail is not None
        if tail.offset + space > tail.size:
            full = tail
            tail = self._open_segment(self._segments[-1].number + 1, full.chain, space)
            full.file.close()
        self._write_frame(tail, parts, tail.file.write_durably_at)
        for record in records:
            self._note(record)

    @staticmethod
    def _write_frame(tail: Tail, parts: Sequence[bytes], write: Callable[[bytes, int], None]) -> None:
        """The first write to a block that was only allocated costs the file system an entry in its own journal, a third
        of a durable write. So the zeros that follow, which are there already, are written now and then many at once."""
        frame, chain = encode_frame(parts, tail.frames, tail.chain, tail.seed)
        end = tail.offset + len(frame)
        if end > tail.filled:
            tail.filled = min(tail.size, end + FILLED_AHEAD_BYTES)
            frame += bytes(tail.filled - end)
        write(frame, tail.offset)
        tail.offset += space_of(sum(map(len, parts)))
        tail.frames += 1
        tail.chain = chain

    def _note(self, record: Record) -> None:
        """What is durable now."""
        if record.reset is not None:
            self._last = self._head = self._head_written = record.reset
        if record.truncate is not None:
            self._last = min(self._last, record.truncate)
        if record.hard_state is not None:
            self._hard_state = record.hard_state
        if record.entries:
            self._last = record.entries[-1].index
            self._segments[-1].highest = max(self._segments[-1].highest, self._last)

    def _open_segment(self, number: int, previous: int, space: int = 0) -> Tail:
        """Makes the next segment under a temporary name, with its opening frame, and gives it its name when it is durable."""
        path = self.path / segment_name(number)
        beside = path.with_name(path.name + TEMPORARY)
        opening = encode_record(Record(opening=self._last, head=self._head, hard_state=self._hard_state))
        size = max(self.segment_bytes, FILE_HEAD_BYTES + space_of(sum(map(len, opening))) + space)
        seed = segment_seed(self.node_id, number, previous)
        file = self.files.create(beside, size)
        tail = Tail(file, FILE_HEAD_BYTES, size, 0, seed, seed)
        try:
            file.write_at(encode_file_head(number, previous), 0)
            self._write_frame(tail, opening, file.write_at)
            file.sync()
            self.files.rename(beside, path)
            self.files.sync_directory(self.path)
        except BaseException:
            file.close()
            raise
        self._segments.append(Segment(number, path, size, 0))
        self._tail = tail
        return tail

    def _drop_segments_before_tail(self) -> None:
        self._drop_segments(len(self._segments) - 1)

    def _drop_segments(self, count: int) -> None:
        """The oldest first, so that a crash leaves a row without a gap. Under load they are dozens: their bytes are not freed
        here, where every write would wait for it."""
        self.discarded.take(self.path, [segment.path.name for segment in self._segments[:count]])
        del self._segments[:count]
