"""The map under `kv`: like a dictionary, and what was frozen stays."""

from __future__ import annotations

import gc
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from swarmtui.objects.rows import KeyRow
from swarmtui.store.shards import FEW_KEYS_MAX, PARTS_FEW, PARTS_MANY, FrozenShards, Shards

keys = st.sampled_from([str(number) for number in range(12)])
steps = st.lists(st.tuples(st.sampled_from(["put", "remove", "freeze"]), keys, st.integers(0, 9)), max_size=40)


@given(steps)
def test_it_is_a_dictionary_whose_frozen_copies_stay(steps: list[tuple[str, str, int]]) -> None:
    shards, model = Shards(), dict[str, int]()
    frozen: list[tuple[FrozenShards, dict[str, int]]] = []
    for verb, key, value in steps:
        if verb == "put":
            assert shards.put(key, value) == model.get(key)
            model[key] = value
        elif verb == "remove" and key in model:
            shards.remove(key)
            del model[key]
        elif verb == "freeze":
            frozen.append((shards.freeze(), dict(model)))
            shards = shards if value % 2 else Shards(frozen[-1][0])
        assert shards.length == len(model)
        assert sorted(shards) == sorted(model)
        assert shards.get(key) == model.get(key)
    for copy, then in frozen:
        assert dict(zip(copy, chain(*copy.rows()), strict=True)) == dict(copy) == then
        assert list(copy) == sorted(then)
        assert len(copy) == len(then)


def test_the_garbage_collector_knows_neither_rows_nor_what_holds_them() -> None:
    """Looking through a million of them stopped everything for a tenth of a second: after a snapshot, whose rows are
    copied part by part, even when only the youngest objects were looked through."""
    shards = Shards()
    for number in range(2_000):
        shards.put(f"key-{number}", KeyRow(f"key-{number}", 1, 1.0, 1.0, b"value"))
    frozen = shards.freeze()
    shards.put("key-1", KeyRow("key-1", 2, 1.0, 2.0, b"value"))
    shards.put("key", KeyRow("key", 2, 1.0, 2.0, b"value"))  # amid the others: its block of keys is made anew
    everything = [
        *shards._parts,
        *frozen.parts,
        *frozen.order.blocks,
        *shards.freeze().order.blocks,
        shards.get("key-1"),
    ]
    assert not any(map(gc.is_tracked, everything))


def test_what_is_let_go_is_still_there_for_the_others() -> None:
    shards = Shards()
    for number in range(2_000):
        shards.put(f"key-{number:04}", number)
    frozen, other = shards.freeze(), shards.freeze()
    list(frozen.let_go())
    assert len(frozen.parts) == len(frozen.order.blocks) == 0
    shards.put("key-2000", 2_000)
    assert list(chain(*other.rows())) == list(range(2_000))
    assert shards.beginning_with("key-2") == ["key-2000"]


def test_more_than_few_keys_move_to_many_parts_and_what_was_frozen_stays_in_few() -> None:
    rows = {f"key-{number:05}": number for number in range(FEW_KEYS_MAX)}
    shards = Shards()
    shards.extend(list(rows), list(rows.values()))
    frozen = shards.freeze()
    assert len(frozen.parts) == PARTS_FEW
    shards.put("key-00000", -1)
    shards.put("key-last", FEW_KEYS_MAX)
    assert len(shards.freeze().parts) == PARTS_MANY
    assert dict(shards.freeze()) == {**rows, "key-00000": -1, "key-last": FEW_KEYS_MAX}
    assert dict(frozen) == rows
    assert [shards.get("key-00000"), shards.get("key-last"), shards.get("key")] == [-1, FEW_KEYS_MAX, None]
    shards.remove("key-00000")
    again = Shards(frozen)
    again.put("key-last", 0)
    assert dict(again.freeze()) == {**rows, "key-last": 0}
    assert "key-00000" not in dict(shards.freeze())


def test_many_keys_that_come_at_once_lie_in_many_parts() -> None:
    keys = [f"key-{number:05}" for number in range(FEW_KEYS_MAX + 1)]
    shards = Shards()
    shards.extend(keys, keys)
    frozen = shards.freeze()
    assert len(frozen.parts) == PARTS_MANY
    assert max(map(len, frozen.parts)) < 20
    assert frozen.in_place_of(keys, keys) == keys == list(chain(*frozen.rows()))
