"""Texts in order, against a sorted list."""

from hypothesis import given, settings
from hypothesis import strategies as st

from swarmtui.objects.codec import encode, encode_transactions
from swarmtui.objects.operations import Put, Transaction
from swarmtui.objects.records import KeyValue
from swarmtui.store import Store, ordered
from swarmtui.store.ordered import OrderedTexts
from swarmtui.store.snapshot import read_snapshot

TEXTS = st.text(alphabet="ab\U0010ffff", max_size=4)


@given(st.lists(st.tuples(st.booleans(), TEXTS), max_size=300), TEXTS, st.integers(2, 8))
@settings(max_examples=300, deadline=None)
def test_it_is_a_sorted_set(steps, prefix, block_max):
    before, ordered.BLOCK_MAX = ordered.BLOCK_MAX, block_max
    try:
        here: set[str] = set()
        texts = OrderedTexts()
        for add, text in steps:
            if add and text not in here:
                here.add(text)
                texts.add(text)
            elif not add and text in here:
                here.remove(text)
                texts.remove(text)
        assert list(texts.beginning_with("")) == sorted(here)
        assert list(texts.beginning_with(prefix)) == sorted(text for text in here if text.startswith(prefix))
        assert all(0 < len(block) <= block_max for block in texts._blocks)
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
