"""Decoders: any bytes give what they mean or one named error, with no more memory than the bytes themselves ask for."""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import cache
from pathlib import Path

from swarmtui.agent import launcher_frames
from swarmtui.objects import codec
from swarmtui.objects.cluster_file import parse_cluster_file
from swarmtui.objects.operations import Create, Put, Require, Transaction
from swarmtui.objects.records import Service
from swarmtui.objects.specs import ServiceSpec
from swarmtui.objects.tables import InvalidClusterFile
from swarmtui.objects.transactions import encode_transactions
from swarmtui.raft.configuration import (
    Configuration,
    InvalidConfiguration,
    Member,
    decode_configuration,
    encode_configuration,
)
from swarmtui.raft.entries import Entry, EntryKind, MalformedEntry, decode_entries, encode_entries
from swarmtui.raft.messages import Append, SnapshotChunk, SnapshotMark, VoteRequest
from swarmtui.storage.errors import StorageError
from swarmtui.storage.frames import encode_frame as encode_log_frame
from swarmtui.storage.segments import encode_file_head, read_segment, segment_seed
from swarmtui.store import Store
from swarmtui.store.snapshot import MalformedSnapshot
from swarmtui.wire.codec import MalformedMessage, decode_message, encode_message
from swarmtui.wire.frames import BadFrame, FrameReader, encode_frame
from swarmtui.wire.messages import Hello, Reply, Request
from swarmtui.wire.node_calls import Propose, Proposed
from tests.fuzz.source import Source

FRAME_BODY_BYTES_MAX = 4096  # of the frames that are read here
MEMBERS = Configuration((Member("a", "n1", "x:1"), Member("b", "n2", "x:2")))
MARK = SnapshotMark(9, 2, MEMBERS, 500, "ab" * 32)
HEAD = {"cluster": "c", "source": "a", "target": "b", "term": 3}
ENTRIES = (Entry(5, 3, EntryKind.NOOP), Entry(6, 3, EntryKind.TRANSACTIONS, b"\0" * 40))
TRANSACTIONS = (
    Transaction((Put("color", b"red"),)),
    Transaction((Put("color", b"blue", expected=4), Require("service", "s")), session=7, serial=1),
    Transaction((Create(Service(id="s", spec=ServiceSpec("web"))),)),
)


def wire_frames(data: bytes) -> None:
    """Frames however they are cut, and never more in memory than one frame and its head."""
    source = Source(data)
    reader = FrameReader(FRAME_BODY_BYTES_MAX)
    with suppress(BadFrame):
        while not source.is_spent:
            reader.feed(source.take(1 + source.below(256)))
            while (frame := reader.next_frame()) is not None:
                assert len(frame[1]) <= FRAME_BODY_BYTES_MAX
            assert reader.waiting_bytes <= FRAME_BODY_BYTES_MAX + 6


def wire_frames_seeds() -> list[bytes]:
    stream = b"".join(encode_frame(channel, bytes(range(20))) for channel in range(4))
    return [bytes([len(stream)]) + stream]


def wire_message(data: bytes) -> None:
    """A frame's body. What can be read can be written, and reads back as the same."""
    with suppress(MalformedMessage):
        message = decode_message(data)
        again = decode_message(encode_message(message))
        assert repr(again) == repr(message)  # not ==: a NaN is none of its equals


def wire_message_seeds() -> list[bytes]:
    messages = [
        VoteRequest(**HEAD, last_index=4, last_term=2, pre=True),
        Append(**HEAD, session=1, previous_index=4, previous_term=2, commit=4, round=8, entries=ENTRIES),
        SnapshotChunk(**HEAD, session=1, mark=MARK, offset=3, data=b"\0\1", chunk_checksum=77),
        Hello(),
        Request(1, Propose.of(*TRANSACTIONS)),
        Reply(1, Proposed(())),
    ]
    return [encode_message(message) for message in messages]


def entries(data: bytes) -> None:
    with suppress(MalformedEntry):
        assert encode_entries(decode_entries(data)) == data


def entries_seeds() -> list[bytes]:
    return [encode_entries(ENTRIES)]


def configuration(data: bytes) -> None:
    with suppress(InvalidConfiguration):
        found = decode_configuration(data)
        assert decode_configuration(encode_configuration(found)) == found


def configuration_seeds() -> list[bytes]:
    return [
        encode_configuration(MEMBERS),
        encode_configuration(Configuration(MEMBERS.voters[:1], outgoing=MEMBERS.voters, removed=("z",))),
    ]


def entry_data(data: bytes) -> None:
    """The data of an entry of transactions, applied: total, and the same on two replicas."""
    stores = Store(), Store()
    results = [store.apply(1, 1, data) for store in stores]
    assert repr(results[0]) == repr(results[1])
    assert stores[0].digest() == stores[1].digest()
    assert stores[0].index == 1


def entry_data_seeds() -> list[bytes]:
    return [encode_transactions([codec.encode(each) for each in TRANSACTIONS], 5.0)]


def store_snapshot(data: bytes) -> None:
    """A snapshot of the store is restored whole or not at all."""
    source = Source(data)
    store = _filled_store()
    before = store.digest()
    chunks = []
    while not source.is_spent:
        chunks.append(source.take(1 + source.below(256)))
    try:
        store.restore(chunks)
    except MalformedSnapshot:
        assert store.digest() == before


def _filled_store() -> Store:
    store = Store()
    store.apply(1, 1, entry_data_seeds()[0])
    return store


def store_snapshot_seeds() -> list[bytes]:
    return [_in_pieces(b"".join(_filled_store().freeze().chunks()))]


def _in_pieces(data: bytes) -> bytes:
    """As `store_snapshot` takes it: a length byte before each piece."""
    pieces = [data[start : start + 256] for start in range(0, len(data), 256)]
    return b"".join(bytes([len(piece) - 1]) + piece for piece in pieces)


def log_segment(data: bytes) -> None:
    """A segment file: what is read of a damaged one is a beginning of what was written, or it is refused."""
    with suppress(StorageError):
        read_segment(Path("00000001.log"), data, "a", 1)


@cache
def _segment() -> tuple[bytes, tuple[bytes, ...]]:
    chain = seed = segment_seed("a", 1, 0)
    parts, bodies = [encode_file_head(1, 0)], (b"opening", b"\0" * 700, bytes(range(256)) * 3, b"last")
    for number, body in enumerate(bodies):
        frame, chain = encode_log_frame([body], number, chain, seed)
        parts.append(frame + bytes(-len(frame) % 32))
    return b"".join(parts) + bytes(512), bodies


def segment() -> bytes:
    return _segment()[0]


def damaged_segment(data: bytes) -> None:
    """Bits flipped and bytes overwritten anywhere in a good segment: never other bodies than those that were written."""
    source = Source(data)
    good, bodies = _segment()
    damaged = bytearray(good)
    while not source.is_spent:
        damaged[source.below(len(good))] = source.below(256)
    with suppress(StorageError):
        found = tuple(body for _, body in read_segment(Path("00000001.log"), bytes(damaged), "a", 1).frames)
        assert found == bodies[: len(found)]
        assert found == bodies or damaged != good


def damaged_segment_seeds() -> list[bytes]:
    good, _ = _segment()
    return [struct.pack(">HB", position, 0) for position in range(0, len(good), 97)]


def launcher_frame(data: bytes) -> None:
    source = Source(data)
    reader = launcher_frames.FrameReader()
    with suppress(launcher_frames.BadFrame):
        while not source.is_spent:
            for _ in reader.feed(source.take(1 + source.below(64))):
                pass


def cluster_file(data: bytes) -> None:
    """Any text: a cluster, or the key that is wrong."""
    text = data.decode(errors="replace")
    with suppress(InvalidClusterFile):
        parse_cluster_file(text, environment={"X": "1"}, name="x")


def cluster_file_seeds() -> list[bytes]:
    return [(Path(__file__).parents[2] / "cluster.toml").read_bytes()]
