"""What a frame's body says: changes to the log, one behind the other.

flags u8 | length of entries u32 | what the flags name, in this order | entries (`raft.entries`)

OPENING     last index u64                   first of every segment: where the log stood when it was made
RESET       base index u64                   everything so far is dropped: a snapshot up to here took its place
HEAD        index u64                        entries up to here are compacted
TRUNCATE    index u64                        entries behind this one are dropped
HARD_STATE  term u64 | commit u64 | length of vote u8 | vote
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator

import attrs

from swarmtui.raft.effects import HardState
from swarmtui.raft.entries import ENTRY_FORMAT, Entry, decode_entries, encode_entries


class Flag(enum.IntEnum):  # not IntFlag, whose every `|` makes an object: this runs at each write
    OPENING = 1
    RESET = 2
    HEAD = 4
    TRUNCATE = 8
    HARD_STATE = 16


_START = struct.Struct(">BI")
_INDEX = struct.Struct(">Q")
_HARD_STATE = struct.Struct(">QQB")
_KNOWN = sum(Flag)
_INDEXED = (Flag.OPENING, Flag.RESET, Flag.HEAD, Flag.TRUNCATE)  # in this order
_ANY_INDEX = sum(_INDEXED)
_HAS_HARD_STATE = int(Flag.HARD_STATE)


class MalformedRecord(Exception):
    """A body that agrees with its checksum and makes no sense."""


class NewerRecord(Exception):
    """Entries of a format that this version does not know: `found`."""

    def __init__(self, found: int) -> None:
        super().__init__(f"entry format {found}, this version reads {ENTRY_FORMAT}")
        self.found = found


@attrs.frozen(kw_only=True)
class Record:
    """One change. None: this record does not speak of it."""

    opening: int | None = None
    reset: int | None = None
    head: int | None = None
    truncate: int | None = None
    hard_state: HardState | None = None
    entries: tuple[Entry, ...] = ()


def encode_record(record: Record) -> list[bytes]:
    """The record's bytes in pieces, to be joined once with those of others."""
    flags = 0
    fields: list[bytes] = []
    for flag, index in (
        (Flag.OPENING, record.opening),
        (Flag.RESET, record.reset),
        (Flag.HEAD, record.head),
        (Flag.TRUNCATE, record.truncate),
    ):
        if index is not None:
            flags |= flag
            fields.append(_INDEX.pack(index))
    hard = record.hard_state
    if hard is not None:
        flags |= Flag.HARD_STATE
        vote = hard.vote.encode()
        fields.append(_HARD_STATE.pack(hard.term, hard.commit, len(vote)) + vote)
    entries = encode_entries(record.entries)
    return [_START.pack(flags, len(entries)), *fields, entries]


def decode_records(body: bytes) -> Iterator[Record]:
    """The records of a body. Raises MalformedRecord or NewerRecord."""
    position = 0
    while position < len(body):
        try:
            record, position = _decode_record(body, position)
        except (struct.error, ValueError) as error:
            raise MalformedRecord(str(error)) from None
        yield record


def _decode_record(body: bytes, position: int) -> tuple[Record, int]:
    flags, length = _START.unpack_from(body, position)
    position += _START.size
    if flags & ~_KNOWN:
        raise MalformedRecord(f"flags {flags:#x} are unknown")
    indexes: dict[Flag, int] = {}
    if flags & _ANY_INDEX:  # seldom, and a log that was written entry by entry has a record for each
        for flag in _INDEXED:
            if flags & flag:
                indexes[flag] = _INDEX.unpack_from(body, position)[0]
                position += _INDEX.size
    hard_state: HardState | None = None
    if flags & _HAS_HARD_STATE:
        term, commit, vote_length = _HARD_STATE.unpack_from(body, position)
        position += _HARD_STATE.size
        hard_state = HardState(term, body[position : position + vote_length].decode(), commit)
        position += vote_length
    stop = position + length
    if stop > len(body):
        raise MalformedRecord(f"entries of {length} bytes reach over the end of their frame")
    record = Record(
        opening=indexes.get(Flag.OPENING),
        reset=indexes.get(Flag.RESET),
        head=indexes.get(Flag.HEAD),
        truncate=indexes.get(Flag.TRUNCATE),
        hard_state=hard_state,
        entries=_entries(body[position:stop]),
    )
    return record, stop


def _entries(records: bytes) -> tuple[Entry, ...]:
    if len(records) > 4 and records[4] > ENTRY_FORMAT:
        raise NewerRecord(records[4])
    try:
        return decode_entries(records)
    except Exception as error:
        raise MalformedRecord(str(error)) from None


@attrs.define
class Image:
    """The log as the records so far have made it: entries (base, last] and the hard state."""

    base: int = 0
    entries: list[Entry] = attrs.field(factory=list)
    hard_state: HardState = HardState()
    head: int = 0

    @property
    def last(self) -> int:
        return self.base + len(self.entries)

    def take(self, record: Record, begins: bool) -> None:
        """Carries out a record; `begins`: it is the first of all that are left. Raises MalformedRecord."""
        if record.opening is not None:
            if begins:
                self.base = record.opening
            elif record.opening != self.last:
                raise MalformedRecord(f"a segment that was opened at index {record.opening} follows index {self.last}")
        if record.reset is not None:
            self.entries, self.base, self.head = [], record.reset, record.reset
        if record.head is not None:
            self.head = max(self.head, record.head)
        if record.truncate is not None:
            self._truncate(record.truncate)
        if record.hard_state is not None:
            if record.hard_state.term < self.hard_state.term:
                raise MalformedRecord(f"term {record.hard_state.term} follows term {self.hard_state.term}")
            self.hard_state = record.hard_state
        if record.entries:
            first = record.entries[0].index
            if first != self.last + 1:
                raise MalformedRecord(f"entry {first} follows entry {self.last}")
            self.entries.extend(record.entries)

    def _truncate(self, after: int) -> None:
        if after >= self.base:
            del self.entries[after - self.base :]
        else:  # what it speaks of was in segments that are compacted
            self.entries, self.base = [], after

    def drop_head(self) -> None:
        """Forgets what was compacted, once everything is read."""
        gone = min(self.head, self.last) - self.base
        if gone > 0:
            del self.entries[:gone]
            self.base += gone
