"""Entries of the replicated log, and the one byte form they have on the wire and on disk.

Record (big endian), format 1:

    length u32 | format u8 | kind u8 | index u64 | term u64 | data

`length` counts what follows it. The same bytes go to followers and into the log file; nobody parses `data` before apply.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable

import attrs

ENTRY_FORMAT = 1
ENTRY_BYTES_MAX = 4 * 1024 * 1024  # data of one entry
_HEAD = struct.Struct(">IBBQQ")
_HEAD_REST = _HEAD.size - 4


class EntryKind(enum.IntEnum):
    NOOP = 0  # the first entry of every leader's term
    TRANSACTIONS = 1  # 1..N transactions of the store, opaque here
    CONFIGURATION = 2  # the members from here on; in force when appended
    FEATURE = 3  # raises the feature level that apply obeys


_KINDS = {kind.value: kind for kind in EntryKind}  # the enum's own look-up costs as much as all the rest


class MalformedEntry(Exception):
    """Bytes that are no entry of a format this version reads. The peer's or the disk's fault, never a crash."""


@attrs.define
class Entry:
    index: int
    term: int
    kind: EntryKind
    data: bytes = b""

    def __str__(self) -> str:
        return f"{self.index}/t{self.term} {self.kind.name.lower()} {len(self.data)}B"


def encode_entries(entries: Iterable[Entry]) -> bytes:
    """The records of the entries, joined."""
    parts: list[bytes] = []
    for entry in entries:
        parts.append(_HEAD.pack(_HEAD_REST + len(entry.data), ENTRY_FORMAT, entry.kind, entry.index, entry.term))
        parts.append(entry.data)
    return b"".join(parts)


def decode_entries(records: bytes) -> tuple[Entry, ...]:
    """The entries of joined records. Raises MalformedEntry."""
    entries: list[Entry] = []
    position, end = 0, len(records)
    while position < end:
        if end - position < _HEAD.size:
            raise MalformedEntry(f"{end - position} bytes left over at {position}, an entry's head has {_HEAD.size}")
        length, version, kind, index, term = _HEAD.unpack_from(records, position)
        if version != ENTRY_FORMAT:
            raise MalformedEntry(f"entry format {version} at byte {position}, this version reads {ENTRY_FORMAT}")
        stop = position + 4 + length
        if length < _HEAD_REST or length > _HEAD_REST + ENTRY_BYTES_MAX or stop > end:
            raise MalformedEntry(f"entry length {length} at byte {position} of {end}")
        known = _KINDS.get(kind)
        if known is None:
            raise MalformedEntry(f"entry kind {kind} at byte {position} is unknown")
        entries.append(Entry(index, term, known, records[position + _HEAD.size : stop]))
        position = stop
    return tuple(entries)
