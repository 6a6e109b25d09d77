"""The term and the vote: one vote in a term, and nothing told of it before the Write that carries it is durable."""

from __future__ import annotations

import pytest

from swarmtui.raft.ballot import Ballot
from swarmtui.raft.effects import HardState
from swarmtui.raft.invariants import InvariantViolation
from swarmtui.raft.messages import VoteReply

KNOWN = HardState(term=3, vote="n2", commit=5)


def test_what_the_disk_had_is_durable_and_need_not_be_written_again():
    ballot = Ballot(KNOWN, log_term=3)
    assert (ballot.term, ballot.vote) == (3, "n2")
    assert ballot.is_durable(completed=0)
    assert ballot.take(commit=5) is None


def test_a_vote_is_durable_with_the_write_that_carries_it_and_stays_so():
    ballot = Ballot(KNOWN, log_term=3)
    ballot.change(4, "n3", sequence=8)
    assert ballot.take(commit=5) == HardState(4, "n3", 5)
    assert not ballot.is_durable(completed=7)
    assert ballot.is_durable(completed=8)
    assert ballot.is_durable(completed=9)


def test_the_commit_index_travels_along_and_is_worth_no_write_of_its_own():
    ballot = Ballot(KNOWN, log_term=3)
    assert not ballot.changed
    assert ballot.take(commit=6) == HardState(3, "n2", 6)
    assert ballot.take(commit=6) is None


@pytest.mark.parametrize(("term", "vote"), [(3, "n3"), (3, "n2"), (3, ""), (2, "n3")])
def test_no_second_vote_in_a_term_and_no_term_again(term, vote):
    with pytest.raises(InvariantViolation, match="one vote in a term"):
        Ballot(KNOWN, log_term=3).change(term, vote, sequence=1)


def test_a_term_that_was_entered_without_a_vote_has_one_to_give():
    ballot = Ballot(KNOWN, log_term=3)
    ballot.change(4, "", sequence=1)
    ballot.change(4, "n1", sequence=1)
    assert ballot.take(commit=5) == HardState(4, "n1", 5)


def test_an_answer_that_waits_is_void_when_the_term_is_over():
    ballot = Ballot(KNOWN, log_term=3)
    ballot.owed = VoteReply(cluster="c", source="n1", target="n2", term=3, granted=True)
    ballot.change(4, "", sequence=1)
    assert ballot.owed is None
