"""Quorum arithmetic against a naive oracle (openraft#1802)."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from swarmtui.raft.quorum import Quorum, Tally, majority

ids = st.sets(st.sampled_from("abcdefg"), min_size=1).map(lambda chosen: tuple(sorted(chosen)))
quorums = st.builds(Quorum, ids, st.one_of(st.just(()), ids))


def is_quorum(quorum: Quorum, chosen: set[str]) -> bool:
    return all(2 * len(chosen & set(half)) > len(half) for half in quorum.halves)


@given(quorums, st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 9)))
def test_agreed_is_the_highest_value_that_some_quorum_has_reached(quorum, values):
    best = max(v for v in range(10) if is_quorum(quorum, {id for id in "abcdefgh" if values.get(id, 0) >= v}))
    assert quorum.agreed(values, 0) == best


@given(quorums, st.dictionaries(st.sampled_from("abcdefgh"), st.booleans()))
def test_tally_is_won_by_a_quorum_and_lost_when_none_can_be_had(quorum, votes):
    granted = {id for id in votes if votes[id]}
    possible = set("abcdefgh") - {id for id in votes if not votes[id]}
    expected = Tally.WON if is_quorum(quorum, granted) else Tally.PENDING if is_quorum(quorum, possible) else Tally.LOST
    assert quorum.tally(votes) is expected


@given(quorums, st.sets(st.sampled_from("abcdefgh")))
def test_reached_agrees_with_the_oracle(quorum, chosen):
    assert quorum.reached(chosen) == is_quorum(quorum, chosen)


def test_any_two_majorities_meet():
    for size in range(1, 8):
        for one in combinations(range(size), majority(size)):
            for other in combinations(range(size), majority(size)):
                assert set(one) & set(other)
