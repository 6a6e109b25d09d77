"""How many are enough: majorities of one set of voters, or of both halves of a joint configuration.

A leaf: it knows ids and numbers, nothing of nodes, logs or time. One function answers three questions, because all are
the same order statistic: up to which index is the log on a majority (`agreed` of match indexes), which read round did a
majority confirm (`agreed` of rounds), since when has a majority been heard (`agreed` of times). tests/raft compares it
with a naive oracle (openraft#1802 committed without a quorum because a helper lost its sort order).
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from typing import TypeVar

import attrs

Number = TypeVar("Number", int, float)


class Tally(enum.Enum):
    WON = "won"
    LOST = "lost"
    PENDING = "pending"


def majority(voters: int) -> int:
    """How many of so many voters decide: 2 of 3, 3 of 4, 3 of 5."""
    return voters // 2 + 1


@attrs.frozen
class Quorum:
    """`outgoing` is the other half of a joint configuration: while it is not empty, both halves must agree."""

    voters: tuple[str, ...]
    outgoing: tuple[str, ...] = ()

    @property
    def halves(self) -> tuple[tuple[str, ...], ...]:
        return (self.voters, self.outgoing) if self.outgoing else (self.voters,)

    def count(self, ids: Collection[str]) -> str:
        """How many of each half these are, for texts: `2 of 5`, `1 of 3 and 2 of 5`."""
        return " and ".join(f"{sum(id in ids for id in half)} of {len(half)}" for half in self.halves)

    @property
    def needs(self) -> str:
        """The majority of each half, for texts: `3`, `2 and 3`."""
        return " and ".join(str(majority(len(half))) for half in self.halves)

    def agreed(self, values: Mapping[str, Number], floor: Number) -> Number:
        """The highest value that a majority (of each half) has reached; who is missing counts as `floor`."""
        value = _agreed(self.voters, values, floor)
        return min(value, _agreed(self.outgoing, values, floor)) if self.outgoing else value

    def reached(self, ids: Collection[str]) -> bool:
        """Whether these ids hold a majority (of each half)."""
        return _reached(self.voters, ids) and (not self.outgoing or _reached(self.outgoing, ids))

    def tally(self, votes: Mapping[str, bool]) -> Tally:
        """The state of an election; votes of ids that do not vote count for nothing."""
        outcomes = {_tally(half, votes) for half in self.halves}
        if Tally.LOST in outcomes:
            return Tally.LOST
        return Tally.PENDING if Tally.PENDING in outcomes else Tally.WON


def _agreed(ids: tuple[str, ...], values: Mapping[str, Number], floor: Number) -> Number:
    ranked = sorted([values.get(id, floor) for id in ids], reverse=True)
    return ranked[len(ids) // 2]


def _reached(half: tuple[str, ...], ids: Collection[str]) -> bool:
    return sum([id in ids for id in half]) >= majority(len(half))


def _tally(ids: tuple[str, ...], votes: Mapping[str, bool]) -> Tally:
    granted = sum(votes.get(id) is True for id in ids)
    refused = sum(votes.get(id) is False for id in ids)
    needed = majority(len(ids))
    if granted >= needed:
        return Tally.WON
    return Tally.LOST if len(ids) - refused < needed else Tally.PENDING
