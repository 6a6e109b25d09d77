"""Reads that ask a quorum themselves: what each member says, and what is enough."""

from __future__ import annotations

import pytest

from swarmtui.raft.attestation import Attestation, attest, may_serve
from swarmtui.raft.changes import AddLearner, AddVoter, Demote, Remove
from swarmtui.raft.configuration import Member
from swarmtui.raft.effects import Send
from swarmtui.raft.inputs import CampaignAsked, Proposed
from swarmtui.raft.messages import AppendReply

N4 = Member("n4", "n4", "a4")
LEADER = Attestation("n1", 5, "n1", commit=9, quorum=("n1", "n2"))
WITNESS = Attestation("n2", 5, "n1")


@pytest.fixture
def led(make_cluster):
    """Clusters that n1 leads, an entry of its term committed."""

    def make(count: int):
        cluster = make_cluster(count)
        cluster.feed("n1", CampaignAsked())
        cluster.run(0.3)
        assert cluster.leader == "n1"
        return cluster

    return make


def words(cluster, *ids: str) -> list[Attestation]:
    return [attest(cluster.cores[id], ids) for id in ids]


# ---- what is enough ----


def test_the_leader_and_a_witness_of_three_are_enough():
    assert may_serve(9, [LEADER, WITNESS])
    assert may_serve(9, [WITNESS, LEADER])


def test_a_witness_that_has_not_heard_of_the_term_yet_is_one():
    assert may_serve(9, [LEADER, Attestation("n2", 3)])


@pytest.mark.parametrize(
    ("applied", "attestations"),
    [
        (9, []),
        (9, [LEADER]),
        (9, [WITNESS, Attestation("n3", 5, "n1")]),
        (9, [LEADER, Attestation("n3", 5, "n1")]),
        (8, [LEADER, WITNESS]),
        (9, [LEADER, Attestation("n2", 6)]),
        (9, [LEADER, Attestation("n2", 6, "n2", commit=12)]),
        (9, [LEADER, Attestation("n2", 6, "n2", commit=12, quorum=("n1", "n2"))]),
        (12, [LEADER, Attestation("n2", 6, "n2", commit=12, quorum=("n2", "n3"))]),
    ],
    ids=[
        "nobody",
        "the leader alone",
        "no leader",
        "somebody whom the leader did not count",
        "state behind the commit",
        "a later term",
        "a later leader that may not be read from",
        "state behind the later leader's commit",
        "a later leader without its quorum",
    ],
)
def test_what_is_not_enough(applied, attestations):
    assert not may_serve(applied, attestations)


def test_of_two_that_lead_the_later_one_is_the_leader_and_the_other_a_witness():
    later = Attestation("n2", 6, "n2", commit=12, quorum=("n1", "n2"))
    assert may_serve(12, [LEADER, later])


def test_all_of_the_quorum_must_have_answered():
    leader = Attestation("n1", 5, "n1", commit=9, quorum=("n1", "n2", "n3"))
    assert not may_serve(9, [leader, WITNESS])
    assert not may_serve(9, [leader, WITNESS, Attestation("n3", 6)])
    assert may_serve(9, [leader, WITNESS, Attestation("n3", 5)])


# ---- what each says ----


def test_members_say_what_they_know(led):
    cluster = led(3)
    leader, witness = words(cluster, "n1", "n2")
    term, commit = cluster.cores["n1"].term, cluster.cores["n1"].log.commit
    assert leader == Attestation("n1", term, "n1", commit, ("n1", "n2"))
    assert witness == Attestation("n2", term, "n1")


@pytest.mark.parametrize(
    ("count", "changes", "asked", "quorum"),
    [
        (1, (), "", "n1"),
        (3, (), "", ""),
        (3, (), "n9", ""),
        (3, (), "n2 n3", "n1 n2 n3"),
        (4, (), "n2", ""),
        (5, (), "n2", ""),
        (5, (), "n2 n4", "n1 n2 n4"),
        (3, (AddLearner(N4),), "n4", ""),
        (3, (AddLearner(N4),), "n3 n4", "n1 n3"),
        (3, (Demote("n3"),), "n3", ""),
        (3, (Demote("n3"),), "n2", "n1 n2"),
        (4, (Remove("n4"),), "n2 n4", "n1 n2"),
        (5, (Remove("n4"), Remove("n5")), "n2", ""),
        (5, (Remove("n4"), Remove("n5")), "n4 n5", ""),
        (5, (Remove("n4"), Remove("n5")), "n2 n4", "n1 n2 n4"),
        (3, (AddVoter(N4),), "n4", ""),
    ],
    ids=[
        "the only voter",
        "nobody beside it",
        "a stranger",
        "more than are needed",
        "two of four",
        "two of five",
        "three of five",
        "a learner",
        "a voter and a learner",
        "a voter that is being demoted",
        "a voter that stays of two",
        "a removed member",
        "a majority of one half",
        "a majority of the other half",
        "majorities of both halves",
        "a learner that shall vote",
    ],
)
def test_whom_a_leader_counts(led, count, changes, asked, quorum):
    """It is cut off; the change is in force, and not committed."""
    cluster = led(count)
    cluster.isolate("n1")
    if changes:
        cluster.ask(*changes)
    said = attest(cluster.cores["n1"], asked.split())
    assert said.quorum == tuple(quorum.split())
    assert said.commit == (cluster.cores["n1"].log.commit if quorum else 0)


def test_a_leader_that_leaves_does_not_count_itself(led):
    """Should it be made to: it leads until the change that removes it is committed, and is no part of its own majority."""
    cluster = led(3)
    core = cluster.cores["n1"]
    cluster.isolate("n1")
    core.members.quorum = type(core.members.quorum)(("n2", "n3"))
    core.members.voters = ("n2", "n3")
    assert attest(core, ("n1", "n2")).quorum == ()
    assert attest(core, ("n1", "n2", "n3")).quorum == ("n2", "n3")


def test_a_leader_that_has_committed_nothing_of_its_own_term_is_no_leader_to_read_from(make_cluster):
    cluster = make_cluster(3)
    carry_out = cluster.carry_out

    def without_acknowledgements(id, effect):
        if not (isinstance(effect, Send) and isinstance(effect.message, AppendReply)):
            carry_out(id, effect)

    cluster.carry_out = without_acknowledgements
    cluster.feed("n1", CampaignAsked())
    assert cluster.leader == "n1"
    assert words(cluster, "n1", "n2")[0] == Attestation("n1", cluster.cores["n1"].term, "n1")
    assert not may_serve(100, words(cluster, "n1", "n2"))
    cluster.carry_out = carry_out
    cluster.run(0.5)
    assert may_serve(cluster.cores["n1"].applied, words(cluster, "n1", "n2"))


def test_a_deposed_leader_that_does_not_know_it_is_outvoted_by_any_of_the_others(led):
    cluster = led(3)
    cluster.down = {"n1"}  # paused: no time passes there
    successor = cluster.elect()
    cluster.run(0.5)
    old = cluster.cores["n1"]
    assert old.role.kind == "leader"
    applied = cluster.cores[successor].applied
    for witness in ("n2", "n3"):
        assert not may_serve(old.applied, words(cluster, "n1", witness))
        assert may_serve(applied, words(cluster, successor, "n2", "n3"))


def test_a_follower_that_lags_serves_nothing(led):
    cluster = led(3)
    core = cluster.cores["n1"]
    cluster.cut = {("n1", "n3")}
    cluster.feed("n1", Proposed(7, core.term, (b"a",)))
    assert not may_serve(cluster.cores["n3"].applied, words(cluster, "n1", "n3"))
    assert may_serve(core.applied, words(cluster, "n1", "n3"))
