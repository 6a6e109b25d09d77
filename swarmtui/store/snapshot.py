"""The whole store as bytes and back.

A snapshot is a sequence of blocks, `length u32 | msgpack [section, body]`: first the head (format, index, term, feature
level, clock and floor of the client sessions), then blocks of the client sessions and of each table, last the end with
the count of all of them, so that a snapshot that was cut off is never taken for a whole one. Chunks of the stream may be
cut anywhere: the reader does not rely on them.

Rows of `kv` are arrays [key, version, created_at, updated_at, value, lease], in the order of their keys, so that whoever reads a
million of them need not sort them (any other order is read as well, slower); those of client sessions are as `store.sessions`
makes them, other records maps as `objects.codec` writes them. Format 1 had no client sessions and no leases: it is read, never
written.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from operator import attrgetter
from typing import Any

import attrs
import msgspec

from swarmtui.objects import codec
from swarmtui.objects.records import TABLES, KeyValue, Lease, Record
from swarmtui.store.sessions import FrozenSessions, session_of_row
from swarmtui.store.shards import FrozenShards, Shards
from swarmtui.store.tables import KV

SNAPSHOT_FORMAT = 2
OLDEST_FORMAT = 1  # that is still read
SESSIONS = "sessions"
BLOCK_BYTES = 256 * 1024  # aimed at
BLOCK_BYTES_MAX = 16 * 1024 * 1024  # believed
RECORDS_A_BLOCK = 64
SESSIONS_A_BLOCK = 8  # each at most some 100 KiB, almost always a few bytes
ROW_OVERHEAD_BYTES = 48

_LENGTH = struct.Struct(">I")
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode
_unpack_section = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw]).decode
_unpack_keys = msgspec.msgpack.Decoder(list[KeyValue]).decode  # of either format; checks the types of every row
_VERSION: Callable[[KeyValue], int] = attrgetter("version")


class MalformedSnapshot(Exception):
    """No snapshot of a store, or one of a newer version."""


@attrs.frozen
class Frozen:
    """The store as it was at `index`. Never changes until it is let go, so any thread may read it. `tables` are rows by table and id."""

    index: int
    term: int
    feature_level: int
    tables: Mapping[str, Mapping[str, Any]]
    sessions: FrozenSessions = FrozenSessions()
    leased: tuple[str, ...] = ()  # the keys that belong to leases

    def chunks(self) -> Iterator[bytes]:
        """The snapshot, a few hundred KiB at a time."""
        head = {
            "format": SNAPSHOT_FORMAT,
            "index": self.index,
            "term": self.term,
            "feature_level": self.feature_level,
            SESSIONS: [self.sessions.clock, self.sessions.floor],
        }
        yield _block("head", head)
        count = len(self.sessions.sessions)
        for body in _session_blocks(self.sessions):
            yield _block(SESSIONS, body)
        for name, rows in self.tables.items():
            count += len(rows)
            for body in _key_blocks(rows) if name == KV else _record_blocks(rows):
                yield _block(name, body)
        yield _block("end", count)

    def without_leases(self) -> Frozen:
        """The same without leases and the keys that belong to them: nobody who held one can renew it."""
        rows = self.tables[KV]
        if self.leased:
            assert isinstance(rows, FrozenShards)
            keys = rows.thaw()
            for key in self.leased:
                keys.remove(key)
            rows = keys.finish(self.index)
        return attrs.evolve(self, tables={**self.tables, Lease.TABLE: {}, KV: rows}, leased=())

    def let_go(self) -> Iterator[None]:
        """Nobody will read it any more: forget it step by step, see FrozenShards."""
        keys = self.tables.get(KV)
        if isinstance(keys, FrozenShards):
            yield from keys.let_go()


def _block(section: str, body: Any) -> bytes:
    data = _pack([section, body])
    return _LENGTH.pack(len(data)) + data


def _session_blocks(sessions: FrozenSessions) -> Iterator[list[Any]]:
    rows = iter(sessions.rows())
    while body := list(islice(rows, SESSIONS_A_BLOCK)):
        yield body


def _record_blocks(rows: Mapping[str, Any]) -> Iterator[list[Any]]:
    records = iter(rows.values())
    while body := [codec.plain(record) for record in islice(records, RECORDS_A_BLOCK)]:
        yield body


def _key_blocks(rows: Mapping[str, KeyValue]) -> Iterator[list[KeyValue]]:
    body: list[KeyValue] = []
    size = 0
    for some in rows.rows() if isinstance(rows, FrozenShards) else [[rows[key] for key in sorted(rows)]]:
        for row in some:
            body.append(row)
            size += len(row.value) + ROW_OVERHEAD_BYTES
            if size >= BLOCK_BYTES:
                yield body
                body, size = [], 0
    if body:
        yield body


def read_snapshot(chunks: Iterable[bytes], beside: Frozen | None = None) -> Frozen:
    """What `Frozen.chunks` wrote. Pure: may run in any thread. Raises MalformedSnapshot.

    Rows of `kv` that `beside` has just the same are taken from there: a follower that was away holds most of its leader's
    million keys already, and would hold each twice until it lets go of its own."""
    blocks = _blocks(chunks)
    head = _head(next(blocks, None))
    tables: dict[str, Any] = {name: {} for name in TABLES}
    keys = Shards()
    known = beside.tables[KV] if beside is not None else None
    leased: list[str] = []
    sessions: list[Any] = []
    count = 0
    for section, data in blocks:
        try:
            if section == KV:
                count += _read_keys(keys, leased, _unpack_keys(data), head.index, known)
                continue
            body = _unpack(data)
            if section == "end":
                if body != count or next(blocks, None) is not None:
                    raise MalformedSnapshot(f"the snapshot's end counts {body!r} objects, {count} were read before it")
                tables[KV] = keys.finish(head.index)
                every = attrs.evolve(head.sessions, sessions=tuple(sessions))
                return attrs.evolve(head, tables=tables, sessions=every, leased=tuple(leased))
            if (section not in tables and section != SESSIONS) or not isinstance(body, list):
                raise MalformedSnapshot(f"a block of section {section!r}")
            count += len(body)
            if section == SESSIONS:
                sessions += [session_of_row(row) for row in body]
            else:
                _read_records(tables[section], TABLES[section], body)
        except (codec.MalformedObject, TypeError, ValueError, RecursionError) as error:
            raise MalformedSnapshot(f"in table {section}: {error}") from None
    raise MalformedSnapshot(f"the snapshot ends after {count} objects without its end block")


def _head(block: tuple[str, msgspec.Raw] | None) -> Frozen:
    """A store that is still empty."""
    if block is None or block[0] != "head":
        raise MalformedSnapshot("the first block is no head")
    try:
        head = _unpack(block[1])
    except Exception as error:
        raise MalformedSnapshot(f"the head cannot be read: {error}") from None
    if not isinstance(head, dict):
        raise MalformedSnapshot("the first block is no head")
    version = head.get("format")
    if type(version) is not int or not OLDEST_FORMAT <= version <= SNAPSHOT_FORMAT:
        reads = f"{OLDEST_FORMAT} to {SNAPSHOT_FORMAT}"
        raise MalformedSnapshot(f"snapshot format {version}, this version reads {reads}")
    try:
        index, term, level = (int(head[name]) for name in ("index", "term", "feature_level"))
        clock, floor = head[SESSIONS] if version > OLDEST_FORMAT else (0.0, 0)
        sessions = FrozenSessions(float(clock), int(floor))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise MalformedSnapshot(f"a head without {error}") from None
    return Frozen(index, term, level, {}, sessions)


def _read_keys(
    keys: Shards, leased: list[str], rows: list[KeyValue], index: int, known: Mapping[str, KeyValue] | None
) -> int:
    newest = max(rows, key=_VERSION, default=None)
    if newest is not None and newest.version > index:
        raise MalformedSnapshot(f"key {newest.id!r} of index {newest.version} in a snapshot of index {index}")
    if isinstance(known, FrozenShards):
        rows = known.in_place_of([row.id for row in rows], rows)
    keys.extend([row.id for row in rows], rows)
    leased += [row.id for row in rows if row.lease]
    return len(rows)


def _read_records(rows: dict[str, Any], cls: type[Record], body: list[Any]) -> None:
    for plain in body:
        record = codec.from_plain(plain, cls)
        rows[record.id] = record


def _blocks(chunks: Iterable[bytes]) -> Iterator[tuple[str, msgspec.Raw]]:
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        position = 0
        while len(buffer) - position >= _LENGTH.size:
            length = _LENGTH.unpack_from(buffer, position)[0]
            if length > BLOCK_BYTES_MAX:
                raise MalformedSnapshot(f"a block of {length} bytes, at most {BLOCK_BYTES_MAX}")
            start = position + _LENGTH.size
            if len(buffer) - start < length:
                break
            position = start + length
            yield _unpack_block(bytes(buffer[start:position]))
        del buffer[:position]
    if buffer:
        raise MalformedSnapshot(f"{len(buffer)} bytes left over at the end")


def _unpack_block(data: bytes) -> tuple[str, msgspec.Raw]:
    try:
        return _unpack_section(data)
    except Exception as error:
        raise MalformedSnapshot(f"a block cannot be read: {error}") from None
