"""Snapshots: the whole store in chunks and back; a cut, a flipped bit and a newer format are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.objects.operations import Create, Put, Remove
from swarmtui.objects.records import KeyValue, Lease, Node, Service, Task
from swarmtui.objects.specs import EndpointSpec, NodeSpec, PortConfig, ServiceSpec
from swarmtui.store import MalformedSnapshot, Store
from swarmtui.store import snapshot as snapshot_module
from swarmtui.store.snapshot import Frozen, read_snapshot

if TYPE_CHECKING:
    from .conftest import Log


@pytest.fixture
def filled(log: Log) -> Log:
    web = ServiceSpec("web", endpoint_spec=EndpointSpec((PortConfig(8080),)))
    log.do(Create(Service(id="s1", spec=web)))
    for slot in range(1, 150):  # more than a block of records
        log.do(Create(Task(id=f"t{slot}", service_id="s1", service_name="web", slot=slot)))
    log.do(Create(Node(id="n1", spec=NodeSpec("n1"))))
    for key in ("a", "b", "\N{SNOWMAN}"):
        log.do(Put(key, bytes(range(256))))
    return log


def test_a_store_becomes_what_a_snapshot_holds(filled: Log) -> None:
    other = Store()
    other.restore(filled.store.freeze().chunks())
    assert other.digest() == filled.store.digest()
    assert (other.index, other.term) == (filled.store.index, filled.store.term)
    assert other.keys("") == filled.store.keys("")
    assert other.by_name(Service, "WEB") == filled.store.by_name(Service, "web")
    assert other.tasks(service_id="s1", slot=3) == filled.store.tasks(service_id="s1", slot=3)


def test_a_restored_store_knows_the_keys_of_leases(filled: Log) -> None:
    filled.do(Create(Lease(id="l1")), Put("held", b"", lease="l1"))
    filled.store.restore(list(filled.store.freeze().chunks()))
    filled.do(Remove("lease", "l1"))
    assert filled.store.get(KeyValue, "held") is None
    assert filled.store.get(KeyValue, "a") is not None


@given(st.integers(1, 4096))
def test_chunks_may_be_cut_anywhere(size: int) -> None:
    store = Store()
    rows = {str(number): KeyValue(str(number), number % 7, 1.0, 2.0, bytes(50)) for number in range(100)}
    store.adopt(Frozen(7, 2, 1, {"kv": rows}))
    stream = b"".join(store.freeze().chunks())
    other = Store()
    other.restore(stream[start : start + size] for start in range(0, len(stream), size))
    assert other.digest() == store.digest()
    assert other.index == 7


def test_a_frozen_store_does_not_change(filled: Log) -> None:
    frozen = filled.store.freeze()
    digest = filled.store.digest()
    filled.do(Put("a", b"changed"))
    filled.do(Put("new", b"1"))
    other = Store()
    other.restore(frozen.chunks())
    assert other.digest() == digest


def test_what_is_read_beside_a_store_shares_all_that_is_the_same(filled: Log) -> None:
    """A follower that caught up by snapshot held each of a million keys twice, in fresh memory, which stayed its own."""
    before = filled.store.freeze()
    filled.do(Put("a", b"changed"))
    filled.do(Put("new", b"1"))
    filled.do(Remove("kv", "b"))
    now = filled.store.freeze()
    read = read_snapshot(now.chunks(), before)
    assert read == now
    theirs, ours = read.tables["kv"], before.tables["kv"]
    assert [key for key in theirs if theirs[key] is ours.get(key)] == ["\N{SNOWMAN}"]
    assert all(key is theirs[key].id for key in theirs)  # nor is a key's text there twice


def test_blocks_are_cut_by_size(monkeypatch: pytest.MonkeyPatch, filled: Log) -> None:
    monkeypatch.setattr(snapshot_module, "BLOCK_BYTES", 300)
    frozen = filled.store.freeze()
    assert len([chunk for chunk in frozen.chunks() if chunk[4:8] == b"\x92\xa2kv"]) == 3
    assert read_snapshot(frozen.chunks()).tables == frozen.tables


def test_no_cut_is_taken_for_a_whole_snapshot(filled: Log) -> None:
    stream = b"".join(filled.store.freeze().chunks())
    for length in [*range(0, len(stream), 97), *range(len(stream) - 40, len(stream))]:
        with pytest.raises(MalformedSnapshot):
            read_snapshot([stream[:length]])


def test_a_refused_snapshot_leaves_the_store_as_it_was(filled: Log) -> None:
    before = (filled.store.digest(), filled.store.index)
    stream = b"".join(Store().freeze().chunks())
    for damaged in (stream[:-1], stream + b"\x00", b"", b"rubbish" * 9, b"\xff\xff\xff\xff"):
        with pytest.raises(MalformedSnapshot):
            filled.store.restore([damaged])
    assert (filled.store.digest(), filled.store.index) == before


def test_a_row_that_is_newer_than_its_snapshot_is_refused() -> None:
    """It would be hidden from every later snapshot of the store."""
    rows = {"a": KeyValue("a", 7, 1.0, 2.0, b""), "b": KeyValue("b", 8, 1.0, 2.0, b"")}
    with pytest.raises(MalformedSnapshot, match="key 'b' of index 8 in a snapshot of index 7"):
        read_snapshot(Frozen(7, 2, 1, {"kv": rows}).chunks())


@given(st.data())
def test_a_flipped_bit_is_refused_or_read_and_never_a_crash(data: st.DataObject) -> None:
    rows = {"a": KeyValue("a", 3, 1.0, 2.0, b"value"), "b": KeyValue("b", 4, 1.0, 2.0, b"", "lease")}
    stream = bytearray(b"".join(Frozen(7, 2, 1, {"kv": rows}).chunks()))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        read_snapshot([bytes(stream)])
    except MalformedSnapshot:
        return


def test_a_newer_format_is_refused_with_both_numbers() -> None:
    head = msgspec.msgpack.encode(["head", {"format": 9}])
    with pytest.raises(MalformedSnapshot, match="snapshot format 9, this version reads 1 to 2"):
        read_snapshot([len(head).to_bytes(4, "big") + head])


def test_a_snapshot_of_the_format_before_client_sessions_is_read() -> None:
    head = {"format": 1, "index": 9, "term": 2, "feature_level": 1, "sessions": []}
    blocks = [["head", head], ["kv", [["a", 3, 1.0, 2.0, b"x"]]], ["end", 1]]
    store = Store()
    store.restore(len(data).to_bytes(4, "big") + data for data in map(msgspec.msgpack.encode, blocks))
    assert (store.index, store.term) == (9, 2)
    assert [(pair.id, pair.version, pair.value) for pair in store.all(KeyValue)] == [("a", 3, b"x")]


def test_an_empty_store_has_a_snapshot_too() -> None:
    store = Store()
    store.restore(Store().freeze().chunks())
    assert (store.index, store.count(KeyValue)) == (0, 0)
