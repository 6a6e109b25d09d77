"""Texts in order, against a sorted list."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmtui.objects.codec import encode
from swarmtui.objects.operations import Put, Transaction
from swarmtui.objects.records import KeyValue
from swarmtui.objects.transactions import encode_transactions
from swarmtui.store import Store, ordered
from swarmtui.store.ordered import FrozenTexts, OrderedTexts
from swarmtui.store.snapshot import read_snapshot

TEXTS = st.text(alphabet="ab\U0010ffff", max_size=4)


@given(st.lists(st.tuples(st.booleans(), TEXTS), max_size=300), TEXTS, st.integers(2, 8))
@settings(max_examples=300, deadline=None)
def test_it_is_a_sorted_set(steps, prefix, block_max):
    before, ordered.BLOCK_MAX = ordered.BLOCK_MAX, block_max
    try:
        here: set[str] = set()
        texts = OrderedTexts()
        frozen: list[tuple[FrozenTexts, list[str]]] = []
        for number, (add, text) in enumerate(steps):
            if number % 7 == 0:
                frozen.append((texts.freeze(), sorted(here)))
                texts = OrderedTexts(frozen[-1][0]) if number % 2 else texts
            if add and text not in here:
                here.add(text)
                texts.add(text)
            elif not add and text in here:
                here.remove(text)
                texts.remove(text)
        assert list(texts.beginning_with("")) == sorted(here)
        assert list(texts.beginning_with(prefix)) == sorted(text for text in here if text.startswith(prefix))
        assert all(0 < len(block) <= block_max for block in texts._blocks)
        for copy, then in frozen:
            assert [text for block in copy.blocks for text in block] == then
            assert copy.last == [max(block) for block in copy.blocks]
    finally:
        ordered.BLOCK_MAX = before


def filled(count: int) -> Store:
    store = Store()
    puts = [encode(Transaction((Put(f"key/{number * 7919 % count:06d}", b"v"),))) for number in range(count)]
    store.apply(1, 1, encode_transactions(puts, 1.0))
    return store


def test_a_listing_looks_at_what_it_lists(monkeypatch):
    """Of a million keys `kv ls` of ten stopped the event loop for half a second: it looked at every key."""
    store = filled(20_000)
    monkeypatch.setattr("swarmtui.store.shards.Shards.__iter__", None)
    assert [pair.id for pair in store.keys("key/01234")] == [f"key/01234{digit}" for digit in range(10)]


def test_a_snapshot_is_written_in_order_and_read_without_sorting(monkeypatch):
    """Reading a snapshot of a million keys took five seconds: each found its place in the order by itself."""
    store = filled(3_000)
    chunks = list(store.freeze().chunks())
    monkeypatch.setattr(OrderedTexts, "add", None)
    read = read_snapshot(chunks)
    assert list(read.tables["kv"]) == [pair.id for pair in store.keys("")]
    full = {len(block) for block in read.tables["kv"].order.blocks[:-1]}
    assert full == {ordered.BLOCK_MAX}  # nor is every block left half empty


def test_a_snapshot_in_any_order_is_read():
    """As they were written before the order was."""
    head = {"format": 2, "index": 9, "term": 2, "feature_level": 1, "sessions": [0.0, 0]}
    rows = [[key, 3, 1.0, 2.0, b"x", ""] for key in ("b", "c", "a")]
    store = Store()
    store.restore(
        len(data).to_bytes(4, "big") + data
        for data in map(msgspec.msgpack.encode, [["head", head], ["kv", rows], ["end", 3]])
    )
    assert [pair.id for pair in store.keys("")] == ["a", "b", "c"]


def test_the_order_survives_a_snapshot_and_is_nobody_elses():
    store = filled(3_000)
    frozen = read_snapshot(list(store.freeze().chunks()))
    one, other = Store(), Store()
    one.adopt(frozen)
    other.adopt(frozen)
    one.apply(2, 1, encode_transactions([encode(Transaction((Put("key/new", b""),)))], 2.0))
    assert one.count(KeyValue) == len(one.keys()) == 3_001
    theirs, ours = other.keys(), store.keys()
    assert [pair.id for pair in theirs] == [pair.id for pair in ours]


def test_keys_are_told_as_plain_values():
    store = filled(2)
    assert store.key_rows(["key/000001", "absent"]) == [KeyValue("key/000001", 1, 1.0, 1.0, b"v"), None]
