"""Watch: every change once and in order, from any index that is remembered; else a resync, said once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from swarmtui.objects.operations import Create, Put, Remove, Transaction, Verdict
from swarmtui.objects.records import KeyValue, Lease, Node
from swarmtui.objects.specs import NodeSpec
from swarmtui.store import Change, Resync, Watch
from swarmtui.store import watch as watch_module

if TYPE_CHECKING:
    import pytest

    from .conftest import Log


def taken(watch: Watch) -> list[Change]:
    changes = watch.take()
    assert isinstance(changes, list)
    return changes


def test_a_watch_sees_creation_replacement_and_removal_in_order(log: Log) -> None:
    watch = log.store.watch()
    log.do(Put("a", b"1"))
    log.do(Put("a", b"2"))
    log.do(Remove("kv", "a"))
    seen = [
        (change.index, change.before and change.before.version, change.after and change.after.version)
        for change in taken(watch)
    ]
    assert seen == [(1, None, 1), (2, None, 2), (3, 2, None)]
    assert taken(watch) == []


def test_what_a_put_replaced_is_not_remembered(log: Log) -> None:
    """A busy manager held thousands of old rows that nobody asked for, and each ended when no processor knew it any more."""
    log.do(Put("a", b"1"))
    (before,) = log.store.key_rows(["a"])
    held = sys.getrefcount(before)
    log.do(Put("a", b"2"))
    log.entry(Transaction((Put("a", b"3"),)))
    log.do(Put("a", b"4"), Put("b", b"1"))
    assert len(taken(log.store.watch(after=0))) == 5
    assert sys.getrefcount(before) == held - 1  # by nobody but the change that brought it


def test_a_refused_transaction_is_not_seen(log: Log) -> None:
    watch = log.store.watch()
    assert log.do(Put("a", b"1"), Remove("kv", "b")).verdict is Verdict.ABSENT
    assert taken(watch) == []


def test_the_owner_is_woken_once_and_sees_a_store_that_agrees(log: Log) -> None:
    watch = log.store.watch()
    woken: list[int] = []
    watch.wake = lambda: woken.append(log.store.count(KeyValue))
    log.entry(Transaction((Put("a", b"1"),)), Transaction((Put("b", b"1"),)))
    log.do(Put("c", b"1"))
    assert woken == [2]
    assert [change.id for change in taken(watch)] == ["a", "b", "c"]
    log.do(Put("d", b"1"))
    assert woken == [2, 4]


def test_an_owner_that_comes_late_is_woken_at_once(log: Log) -> None:
    watch = log.store.watch()
    log.do(Put("a", b"1"))
    woken: list[str] = []
    watch.wake = lambda: woken.append("now")
    assert woken == ["now"]


def test_a_watch_of_some_tables_is_not_woken_by_others(log: Log) -> None:
    watch = log.store.watch(tables=["node"])
    woken: list[str] = []
    watch.wake = lambda: woken.append("now")
    log.do(Put("a", b"1"))
    assert woken == []
    log.do(Create(Node(id="n1", spec=NodeSpec("n1"))))
    assert woken == ["now"]
    assert [change.table for change in taken(watch)] == ["node"]


def test_a_watch_begins_behind_the_index_that_was_read(log: Log) -> None:
    for key in "abcd":
        log.do(Put(key, b"1"))
    assert [change.id for change in taken(log.store.watch(after=2))] == ["c", "d"]
    assert [change.id for change in taken(log.store.watch(after=0))] == ["a", "b", "c", "d"]
    assert taken(log.store.watch(after=4)) == []


def test_a_watch_from_a_forgotten_index_begins_with_a_resync(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "HISTORY_CHANGES_MAX", 2)
    for key in "abcd":
        log.do(Put(key, b"1"))
    assert log.store.watch(after=1).take() == Resync(4, "changes are remembered from index 3 on")
    assert [change.id for change in taken(log.store.watch(after=2))] == ["c", "d"]


def test_the_history_holds_a_bounded_number_of_changes_however_they_came(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "HISTORY_CHANGES_MAX", 4)
    for keys in ("ab", "cd", "ef"):
        log.entry(*[Transaction((Put(key, b"1"),)) for key in keys])
    assert log.store.watch(after=0).take() == Resync(3, "changes are remembered from index 2 on")
    assert [change.id for change in taken(log.store.watch(after=1))] == ["c", "d", "e", "f"]


def test_changes_of_one_entry_are_told_in_the_order_in_which_they_came_about(log: Log) -> None:
    log.do(Create(Lease(id="l", holder="me", ttl_s=5.0)), Put("leased", b"1", lease="l"))
    watch = log.store.watch()
    log.entry(*[Transaction((Put(key, b"2"),)) for key in ("a", "b", "leased", "c", "a", "d")])
    told = taken(watch)
    assert [change.id for change in told] == ["a", "b", "leased", "c", "d"]
    assert [change.after for change in told] == [log.store.get(KeyValue, change.id) for change in told]
    assert taken(log.store.watch(after=1)) == told


def test_a_watch_counts_changes_until_they_are_taken(log: Log) -> None:
    watch = log.store.watch(limit=4)
    for keys in ("abc", "def"):
        log.entry(*[Transaction((Put(key, b"1"),)) for key in keys])
        assert len(watch) == 3
        assert [change.id for change in taken(watch)] == list(keys)
        assert len(watch) == 0


def test_the_history_holds_a_bounded_number_of_bytes(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "HISTORY_BYTES_MAX", 100)
    for key in "abcd":
        log.do(Put(key, bytes(60)))
    assert isinstance(log.store.watch(after=2).take(), Resync)
    assert [change.id for change in taken(log.store.watch(after=3))] == ["d"]


def test_a_reader_that_cannot_follow_takes_one_resync_and_goes_on(log: Log) -> None:
    watch = log.store.watch(limit=3)
    woken: list[str] = []
    watch.wake = lambda: woken.append("now")
    for key in "abcde":
        log.do(Put(key, b"1"))
    assert watch.take() == Resync(5, "4 changes waited, at most 3 can")
    assert woken == ["now"]
    log.do(Put("f", b"1"))
    assert [change.id for change in taken(watch)] == ["f"]


def test_one_entry_with_too_many_changes_wakes_its_reader_too(log: Log) -> None:
    watch = log.store.watch(limit=3)
    woken: list[str] = []
    watch.wake = lambda: woken.append("now")
    log.entry(*[Transaction((Put(key, b"1"),)) for key in "abcde"])
    assert woken == ["now"]
    assert isinstance(watch.take(), Resync)


def test_a_snapshot_that_replaces_the_store_is_a_resync(log: Log) -> None:
    log.do(Put("a", b"1"))
    frozen = log.store.freeze()
    watch = log.store.watch()
    log.do(Put("b", b"1"))
    log.store.adopt(frozen)
    assert watch.take() == Resync(1, "a snapshot of index 1 replaced the store")
    assert taken(log.store.watch(after=1)) == []
    assert isinstance(log.store.watch(after=0).take(), Resync)


def test_a_closed_watch_is_forgotten(log: Log) -> None:
    watch = log.store.watch()
    watch.close()
    watch.close()
    log.do(Put("a", b"1"))
    assert taken(watch) == []
