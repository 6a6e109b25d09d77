"""Long lists of records travel in parts, each a valid answer of its own kind."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from swarmtui.wire.node_calls import Records, RecordsChanged

RECORDS_PER_PART = 1_000
RECORDS_MAX = 2_000_000  # of one joined answer

PARTED = (Records, RecordsChanged)
"""Answers that can be taken apart; of a RecordsChanged each part is a change that comes after the one before it."""


def halves(answer: Records | RecordsChanged) -> list[Records | RecordsChanged]:
    """Two answers that say the same, one after the other."""
    middle = len(answer.records) // 2
    first, second = answer.records[:middle], answer.records[middle:]
    if isinstance(answer, Records):
        return [attrs.evolve(answer, records=first), attrs.evolve(answer, records=second)]
    return [
        attrs.evolve(answer, records=first, removed=(), more=True),
        attrs.evolve(answer, records=second, reset=False),
    ]


def join_records(parts: Sequence[Records]) -> Records:
    """The answer that was taken apart."""
    return attrs.evolve(parts[0], records=tuple(record for part in parts for record in part.records))
