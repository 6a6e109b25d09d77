"""The one byte form of entries: what is encoded comes back, and rubbish is refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.raft.entries import Entry, EntryKind, MalformedEntry, decode_entries, encode_entries

entries = st.builds(
    Entry,
    index=st.integers(0, 2**64 - 1),
    term=st.integers(0, 2**64 - 1),
    kind=st.sampled_from(EntryKind),
    data=st.binary(max_size=300),
)


@given(st.lists(entries, max_size=8))
def test_what_is_encoded_comes_back(some: list[Entry]) -> None:
    assert decode_entries(encode_entries(some)) == tuple(some)


@given(st.binary(max_size=200))
def test_any_bytes_are_entries_or_refused(rubbish: bytes) -> None:
    try:
        assert encode_entries(decode_entries(rubbish)) == rubbish
    except MalformedEntry:
        return


def test_a_newer_format_is_refused_with_both_versions() -> None:
    record = bytearray(encode_entries([Entry(1, 1, EntryKind.NOOP)]))
    record[4] = 9
    with pytest.raises(MalformedEntry, match="format 9 at byte 0, this version reads 1"):
        decode_entries(bytes(record))
