"""Many transactions: what was put together is read all at once, one by one, or passed on, and is always the same."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.objects import codec
from swarmtui.objects import transactions as transactions_module
from swarmtui.objects.codec import MalformedObject, encode
from swarmtui.objects.operations import Put, Remove, Transaction
from swarmtui.objects.transactions import Bundle, decode_puts, decode_transactions, encode_entry, encode_transactions

puts = st.builds(lambda key, value: encode(Transaction((Put(key, value),))), st.text(max_size=3), st.binary(max_size=3))
others = st.just(encode(Transaction((Remove("kv", "a"),))))


@given(st.lists(puts | others, max_size=5))
def test_a_bundle_is_its_transactions(transactions: list[bytes]) -> None:
    bundle = Bundle.of(transactions)
    assert bundle.parts() == transactions
    assert bytes(bundle.elements) == b"".join(transactions)
    assert bundle.count == len(transactions)
    assert Bundle.read(bundle.array) == bundle
    ones = [codec.decode_one_put(one) for one in transactions]
    assert bundle.puts() == (None if None in ones else ones)


@given(st.lists(st.lists(puts, max_size=3), max_size=4))
def test_an_entry_of_several_bundles_is_that_of_all_their_transactions(calls: list[list[bytes]]) -> None:
    bundles = [Bundle.of(call) for call in calls]
    entry = encode_entry(sum(bundle.count for bundle in bundles), [bundle.elements for bundle in bundles], 5.0)
    assert entry == encode_transactions([one for call in calls for one in call], 5.0)


@pytest.mark.parametrize("array", [b"", b"\xdd\x00\x00", b"\x90", b"\xdc\x00\x01\xc0\xc0", b"\xdd\x00\x00\x00\x02\xc0"])
def test_what_is_no_bundle_is_refused_as_it_is_read(array: bytes) -> None:
    with pytest.raises(MalformedObject):
        Bundle.read(array)


@pytest.mark.parametrize(
    "array", [b"\xdd\x00\x00\x00\x01\xc1", b"\xdd\x00\x00\x00\x01\xc0\xc0", b"\xdd\x00\x00\x00\x02\xa1a"]
)
def test_what_only_says_to_be_one_is_refused_as_its_parts_are_looked_at(array: bytes) -> None:
    bundle = Bundle.read(array)
    assert bundle.puts() is None
    with pytest.raises(MalformedObject):
        bundle.parts()


@given(st.lists(puts | others, max_size=5), st.floats(allow_nan=False))
def test_the_transactions_of_an_entry_come_back(encoded: list[bytes], time: float) -> None:
    entry = encode_transactions(encoded, time)
    assert decode_transactions(entry) == (time, encoded)
    ones = [codec.decode_one_put(one) for one in encoded]
    assert decode_puts(entry) == (None if None in ones else (time, ones))


@given(st.lists(puts | others, max_size=5), st.floats(allow_nan=False))
def test_an_entry_that_was_written_before_there_was_the_array_is_read(encoded: list[bytes], time: float) -> None:
    assert decode_transactions(old_entry(encoded, time)) == (time, encoded)
    assert decode_puts(old_entry(encoded, time)) is None


def old_entry(transactions: list[bytes], time: float) -> bytes:
    parts = [len(one).to_bytes(4, "big") + one for one in transactions]
    return struct.pack(">Bd", 1, time) + b"".join(parts)


def test_every_cut_of_an_entry_is_refused() -> None:
    transactions = [encode(Transaction((Put(key, b"v"),))) for key in ("a", "b")]
    whole, old = encode_transactions(transactions, 2.0), old_entry(transactions, 2.0)
    first = 9 + 4 + len(transactions[0])
    cuts = [whole[:length] for length in range(len(whole))]
    cuts += [old[:length] for length in range(len(old)) if length not in (9, first)]  # those hold fewer transactions
    for cut in (*cuts, whole + b"\xc0", old + b"\xc0"):
        assert decode_puts(cut) is None
        with pytest.raises(MalformedObject):
            decode_transactions(cut)


def test_an_entry_of_more_than_there_may_be_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions_module, "TRANSACTIONS_MAX", 2)
    three = [encode(Transaction((Put(key, b"v"),))) for key in "abc"]
    for entry in (encode_transactions(three, 2.0), old_entry(three, 2.0)):
        assert decode_puts(entry) is None
        with pytest.raises(MalformedObject, match=r"3 transactions .*at most 2"):
            decode_transactions(entry)
    short = encode_transactions([], 2.0)
    with pytest.raises(MalformedObject, match="4294967295 transactions"):
        decode_transactions(short[:-4] + b"\xff" * 4)
    with pytest.raises(MalformedObject, match="begins with 0x90"):
        decode_transactions(short[:-5] + b"\x90" + bytes(4))


def test_a_newer_format_of_transactions_is_refused_with_both_numbers() -> None:
    with pytest.raises(MalformedObject, match="format 9, this version reads 2"):
        decode_transactions(b"\x09" + bytes(13))
