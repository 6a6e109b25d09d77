"""What may share an entry: one by one and a call at a time, which must never differ in what they let in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.objects import codec
from swarmtui.objects.operations import KEY_BYTES_MAX, VALUE_BYTES_MAX, Operation, Put, Remove, Transaction
from swarmtui.objects.transactions import Bundle
from swarmtui.store import batching
from swarmtui.store.batching import KV, Batcher
from swarmtui.store.validation import examine, examine_all


def encoded(*operations: Operation, session: int = 0, serial: int = 0) -> bytes:
    return codec.encode(Transaction(operations, session, serial))


def test_a_call_of_plain_puts_is_examined_at_once() -> None:
    call = [encoded(Put("a", b"1")), encoded(Put("b", b"2", 0)), encoded(Put("c", b"3"), session=7, serial=1)]
    assert examine_all(Bundle.of(call)) == {(KV, "a"), (KV, "b"), (KV, "c")}


ODD = {
    "a key twice": encoded(Put("a", b"again")),
    "no put": encoded(Remove("kv", "z")),
    "two puts": encoded(Put("x", b""), Put("y", b"")),
    "a lease": encoded(Put("x", b"", lease="1")),
    "no key": encoded(Put("", b"")),
    "a key too long": encoded(Put("k" * KEY_BYTES_MAX, b"")),
    "no version": encoded(Put("x", b"", -1)),
    "no serial": encoded(Put("x", b""), session=7),
    "a value too long": encoded(Put("x", b"v" * VALUE_BYTES_MAX)),
    "no transaction": b"no transaction",
    "nothing": b"",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_is_not_quite_plain_is_looked_at_by_itself(odd: bytes) -> None:
    assert examine_all(Bundle.of([encoded(Put("a", b"")), odd])) is None
    assert examine_all(Bundle.of([odd, encoded(Put("a", b""))])) is None


puts = st.builds(
    lambda key, expected, session, serial: encoded(Put(key, b"v", expected), session=session, serial=serial),
    st.sampled_from(["", "a", "b", "c", "k" * KEY_BYTES_MAX]),
    st.sampled_from([None, None, 0, 5, -1]),
    st.sampled_from([0, 0, 9]),
    st.integers(0, 2),
)


@given(st.lists(puts, min_size=1, max_size=5))
def test_a_call_is_let_in_only_if_each_of_it_is_and_all_may_share_an_entry(call: list[bytes]) -> None:
    found = examine_all(Bundle.of(call))
    if found is None:
        return
    each = [examine(one) for one in call]
    assert [fault for fault, _ in each] == [None] * len(call)
    assert sorted(found) == sorted(written for _, all_written in each for written in all_written)


def test_a_call_enters_whole_or_not_at_all() -> None:
    batcher = Batcher(1000)
    assert batcher.add_all(4, 400, {(KV, "a"), (KV, "b"), (KV, "c"), (KV, "d")})
    assert not batcher.add_all(2, 200, {(KV, "e"), (KV, "d")})  # d has been written
    assert batcher.add(100, [(KV, "e")])  # nothing of the other call is left behind
    assert not batcher.add_all(6, 600, {(KV, f"{number}") for number in range(6)})  # too many bytes
    assert batcher.add_all(5, 500, {(KV, f"{number}") for number in range(5)})
    assert not batcher.add(100, [(KV, "z")])


def test_an_empty_entry_takes_any_transaction_but_not_any_call() -> None:
    assert Batcher(100).add(1000, [(KV, "large")])
    assert not Batcher(100).add_all(2, 1000, {(KV, "a"), (KV, "b")})


def test_an_entry_holds_so_many_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "ENTRY_TRANSACTIONS_MAX", 3)
    batcher = Batcher(1000)
    assert batcher.add_all(2, 20, {(KV, "a"), (KV, "b")})
    assert not batcher.add_all(2, 20, {(KV, "c"), (KV, "d")})
    assert batcher.add(10, [(KV, "c")])
    assert not batcher.add(10, [(KV, "d")])
