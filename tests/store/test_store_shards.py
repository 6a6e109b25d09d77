"""The map under `kv`: like a dictionary, and what was frozen stays, also for whoever reads it in another thread."""

from __future__ import annotations

import gc
import sys
import threading
from itertools import chain, pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from swarmtui.objects.operations import Put, Remove, Transaction
from swarmtui.objects.records import KeyValue
from swarmtui.store.shards import PARTS, ROWS_AT_ONCE, FrozenShards, Shards

if TYPE_CHECKING:
    import pytest

    from .conftest import Log

keys = st.sampled_from([str(number) for number in range(12)])
steps = st.lists(st.tuples(st.sampled_from(["put", "remove", "freeze"]), keys, st.integers(0, 9)), max_size=40)


def row(key: str, index: int) -> KeyValue:
    return KeyValue(key, index, 1.0, 1.0, b"value")


def filled(count: int, index: int = 1) -> Shards:
    shards = Shards()
    for number in range(count):
        shards.put(f"key-{number:05}", row(f"key-{number:05}", index))
    return shards


@given(steps)
def test_it_is_a_dictionary_whose_frozen_copies_stay(steps: list[tuple[str, str, int]]) -> None:
    shards, model = Shards(), dict[str, KeyValue]()
    frozen: list[tuple[FrozenShards, dict[str, KeyValue]]] = []
    for index, (verb, key, choice) in enumerate(steps):
        if verb == "put":
            assert shards.put(key, row(key, index)) == model.get(key)
            model[key] = row(key, index)
        elif verb == "remove" and key in model:
            shards.remove(key)
            del model[key]
        elif verb == "freeze":
            frozen.append((shards.freeze(index) if choice % 3 else shards.finish(index), dict(model)))
            if not choice % 3:
                shards = frozen[-1][0].thaw()
            elif choice % 3 == 1:
                shards = frozen[choice % len(frozen)][0].thaw()
                model = dict(frozen[choice % len(frozen)][1])
        assert shards.length == len(model)
        assert sorted(shards) == sorted(model)
        assert shards.get(key) == model.get(key)
    for copy, then in frozen:
        assert dict(zip(copy, chain(*copy.rows()), strict=True)) == dict(copy) == then
        assert list(copy) == sorted(then)
        assert len(copy) == len(then)


def test_the_garbage_collector_knows_neither_rows_nor_what_holds_them() -> None:
    """Looking through a million of them stopped everything for a tenth of a second, even when only the youngest objects
    were looked through."""
    shards = filled(2_000)
    frozen = shards.freeze(1)
    shards.put("key-00001", row("key-00001", 2))
    shards.put("key", row("key", 2))  # amid the others: its block of keys is made anew
    everything = [
        *frozen.parts,
        *frozen.aside,
        *frozen.order.blocks,
        *shards.freeze(2).order.blocks,
        shards.get("key-00001"),
    ]
    assert not any(map(gc.is_tracked, everything))


def test_only_the_first_row_that_was_replaced_is_put_aside_and_only_while_somebody_may_read_it() -> None:
    """Who writes while nobody reads pays nothing, and who reads for long holds what it shows and no more."""
    shards = filled(3)
    assert not shards.is_viewed
    frozen, other = shards.freeze(1), shards.freeze(1)
    for index in (2, 3):
        shards.put("key-00001", row("key-00001", index))
        shards.put("new", row("new", index))
    shards.remove("new")
    assert list(chain(*frozen.aside)) == list(chain(*other.aside)) == ["key-00001"]
    assert list(frozen) == ["key-00000", "key-00001", "key-00002"]
    assert "new" not in frozen
    assert [frozen[key].version for key in frozen] == [1, 1, 1]
    next(frozen.let_go())
    shards.remove("key-00002")
    assert not any(part.get("key-00002") for part in frozen.aside)
    assert other["key-00002"].version == 1
    assert shards.is_viewed
    del other
    assert not shards.is_viewed


def test_a_view_is_right_at_every_moment_for_a_thread_beside_the_one_that_writes() -> None:
    shards = filled(4_000)
    frozen = shards.freeze(1)
    seen: list[KeyValue] = []
    reader = threading.Thread(target=lambda: seen.extend(chain(*frozen.rows(), *frozen.rows(), *frozen.rows())))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        reader.start()
        index = 1
        while reader.is_alive():
            index += 1
            for number in range(0, 4_000, 7 + index % 5):
                key = f"key-{number:05}"
                if shards.get(key) is not None and number % 2:
                    shards.remove(key)
                else:
                    shards.put(key, row(key, index))
    finally:
        sys.setswitchinterval(interval)
        reader.join()
    assert seen == [row(f"key-{number:05}", 1) for number in range(4_000)] * 3


def test_a_row_is_in_its_place_until_it_is_aside(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between one and the other a thread that reads would find neither."""
    for key in "abcd":
        log.do(Put(key, b"1"))
    frozen = log.store.freeze().tables["kv"]
    put_aside, seen = Shards.put_aside, []

    def watched(self: Shards, row: KeyValue) -> None:
        assert frozen[row.id] is row
        put_aside(self, row)
        assert frozen[row.id] is row
        seen.append(row.id)

    monkeypatch.setattr(Shards, "put_aside", watched)
    log.do(Put("a", b"2"))  # the short way
    log.do(Put("b", b"2"), Put("e", b"1"))  # the long way
    log.do(Remove("kv", "c"))
    assert seen == ["a", "b", "c"]
    assert [row.value for row in chain(*frozen.rows())] == [b"1"] * 4


def test_a_view_may_be_let_go_at_any_moment_of_a_write(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lets go does so in a thread of its own: under load it came amid a call of many Puts, which had asked at its
    beginning whether anybody reads, and the manager ended with an IndexError."""
    names = [f"key-{number}" for number in range(50)]
    log.entry(*[Transaction((Put(name, b"1"),)) for name in names])
    frozen = log.store.freeze()
    put_aside, letting_go, steps = Shards.put_aside, frozen.let_go(), []

    def beside_the_thread(self: Shards, row: KeyValue) -> None:
        steps.append(list(letting_go) if len(steps) == 10 else [])
        put_aside(self, row)

    monkeypatch.setattr(Shards, "put_aside", beside_the_thread)
    log.entry(*[Transaction((Put(name, b"2"),)) for name in names])
    assert len(steps) == 50
    assert steps[10]
    assert [row.value for row in log.store.keys("key-")] == [b"2"] * 50


def test_what_is_let_go_is_still_there_for_the_others() -> None:
    shards = filled(2_000)
    frozen, other = shards.freeze(1), shards.freeze(1)
    shards.put("key-00007", row("key-00007", 2))
    list(frozen.let_go())
    assert not any((*frozen.parts, *frozen.aside))
    assert not frozen.order.blocks
    shards.put("key-02000", row("key-02000", 2))
    assert [each.id for each in chain(*other.rows())] == [f"key-{number:05}" for number in range(2_000)]
    assert shards.beginning_with("key-02") == ["key-02000"]


def test_a_million_rows_end_a_few_thousand_at_a_time() -> None:
    """Their end all at once would stop every thread for a third of a second."""
    shards = filled(20_000)
    frozen = shards.freeze(1)
    sizes = list(map(len, frozen.parts))
    assert len(sizes) == PARTS
    assert max(sizes) < 2 * 20_000 / PARTS
    del shards
    left = [sum(map(len, frozen.parts)) for _ in frozen.let_go()]
    assert max(before - after for before, after in pairwise(left)) < ROWS_AT_ONCE + max(sizes)
    assert left[-1] == 0
    assert len(left) < 20  # for after each of them who lets go rests


def test_what_nobody_writes_is_thawed_without_a_copy_and_only_once() -> None:
    """A follower that reads its leader's snapshot of a million keys takes over what it has read."""
    rows = filled(100)
    frozen = rows.finish(1)
    assert frozen.thaw() is rows
    rows.put("key-00000", row("key-00000", 2))
    other = frozen.thaw()
    assert other is not rows
    assert other.get("key-00000") == frozen["key-00000"] == row("key-00000", 1)
    assert rows.freeze(2).thaw() is not rows


def test_rows_that_are_here_just_the_same_take_the_place_of_others() -> None:
    shards = filled(3)
    own = shards.freeze(1)
    theirs = [row("key-00000", 1), row("key-00001", 2), row("key-9", 1)]
    taken = own.in_place_of([each.id for each in theirs], theirs)
    assert taken == theirs
    assert [mine is not other for mine, other in zip(taken, theirs, strict=True)] == [True, False, False]
