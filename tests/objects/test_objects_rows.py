"""Rows of keys: however one becomes a KeyValue, it is the same one, and as frozen."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.objects.rows import FEW, KeyRow, key_row, key_value, key_values

times = st.floats(allow_nan=False)
rows = st.builds(KeyRow, st.text(), st.integers(0, 2**63), times, times, st.binary(max_size=5), st.text(max_size=3))


@given(st.lists(rows | st.none(), max_size=FEW + 2))
def test_many_become_what_each_would(some: list[KeyRow | None]) -> None:
    assert key_values(some) == [None if row is None else key_value(row) for row in some]


@given(rows)
def test_a_row_comes_back(row: KeyRow) -> None:
    for count in (1, FEW + 1):
        pair = key_values([row] * count)[-1]
        assert pair is not None
        assert key_row(pair) == row
        assert (pair.id, pair.version, pair.spec_version) == (row.key, row.version, row.version)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            pair.value = b""  # type: ignore[misc]
