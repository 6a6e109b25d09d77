"""What a leader does about the members, and what becomes of those who leave."""

from __future__ import annotations

import attrs
import pytest

from swarmtui.raft.changes import AddLearner, AddVoter, Demote, Move, Remove, left
from swarmtui.raft.configuration import Configuration, Member, encode_configuration
from swarmtui.raft.effects import (
    Accepted,
    Expelled,
    HardState,
    MembersChanged,
    Narrate,
    Refused,
    Role,
    RoleChanged,
    Send,
)
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import CampaignAsked, MembersAsked, Proposed, Received, Tick, Unreachable
from swarmtui.raft.invariants import InvariantViolation
from swarmtui.raft.log import Restored
from swarmtui.raft.messages import Append, ReadReply, ReadRequest, RemovedNotice, TimeoutNow, VoteRequest
from swarmtui.raft.options import RaftOptions


def member(number: int) -> Member:
    return Member(f"n{number}", f"n{number}", f"127.0.0.1:{7100 + number}")


N4, N5 = member(4), member(5)


@pytest.fixture
def led(make_cluster):
    """Clusters that n1 leads, an entry of its term committed."""

    def make(count: int, **options):
        cluster = make_cluster(count, options=RaftOptions(**options))
        cluster.feed("n1", CampaignAsked())
        cluster.run(0.3)
        assert cluster.leader == "n1"
        return cluster

    return make


def refused(answer) -> tuple[str, str]:
    assert isinstance(answer, Refused)
    return answer.rule, answer.reason


# ---- promotion ----


def test_voter_that_joins_is_caught_up_and_promoted_by_itself(led):
    trio = led(3)
    trio.join(N4)
    accepted = trio.ask(AddVoter(N4))
    assert (accepted.term, accepted.first_index) == (2, 3)
    trio.run(0.3)
    assert [trio.voters(id) for id in ("n1", "n4")] == ["n1 n2 n3 n4"] * 2
    assert trio.cores["n1"].members.current.promotions == ()
    changes = [(told.index, str(told.configuration), told.committed) for told in trio.told("n4", MembersChanged)]
    assert changes[-3:] == [
        (4, "voters n1 n2 n3 n4", False),
        (3, "voters n1 n2 n3 learners n4+", True),
        (4, "voters n1 n2 n3 n4", True),
    ]
    roles = [(told.role, told.cause) for told in trio.told("n4", RoleChanged)]
    assert roles[-2:] == [(Role.LEARNER, "heard from leader n1"), (Role.FOLLOWER, "made a voter")]


def test_new_leader_goes_on_with_a_promotion(led):
    """The wish is in the log: whoever leads next fulfils it."""
    trio = led(3)
    trio.ask(AddVoter(N4))
    trio.run(0.3)
    assert trio.voters("n1") == "n1 n2 n3"
    trio.down.add("n1")
    trio.run(3, until=lambda: bool(trio.leader))
    trio.join(N4)
    trio.run(1)
    assert trio.voters(trio.leader) == "n1 n2 n3 n4"


def test_several_learners_that_are_ready_together_go_through_a_joint_configuration(led):
    trio = led(3)
    trio.ask(AddVoter(N4), AddVoter(N5))
    trio.run(0.1)
    leader = trio.cores["n1"]
    for id in ("n4", "n5"):
        leader.role.membership.catching_up[id].ready = True
        leader.role.progress[id].heard_at = trio.now
        trio.join(member(int(id[1:])))
    trio.run(1)
    assert trio.voters("n5") == "n1 n2 n3 n4 n5"
    texts = [str(told.configuration) for told in trio.told("n1", MembersChanged) if not told.committed]
    assert texts == [
        "voters n1 n2 n3 learners n4+ n5+",
        "voters n1 n2 n3 n4 n5 outgoing n1 n2 n3",
        "voters n1 n2 n3 n4 n5",
    ]


def test_replacement_is_one_request_and_never_weakens_the_cluster(led):
    trio = led(3)
    trio.join(N4)
    trio.ask(AddVoter(N4), Remove("n3"))
    trio.run(0.5)
    seen = [str(told.configuration) for told in trio.told("n1", MembersChanged) if told.committed]
    assert seen == [
        "voters n1 n2 n3 learners n4+(for n3)",
        "voters n1 n2 n4 outgoing n1 n2 n3",
        "voters n1 n2 n4",
    ]
    assert [told.reason for told in trio.told("n3", Expelled)] == ["n1 says: removed by the configuration of index 5"]


def test_replaced_leader_hands_over_when_its_replacement_is_ready(led):
    trio = led(3)
    trio.join(N4)
    assert isinstance(trio.ask(AddVoter(N4), Remove("n1")), Accepted)
    trio.run(2)
    assert trio.leader in ("n2", "n3")
    assert trio.voters(trio.leader) == "n2 n3 n4"
    assert trio.told("n1", Expelled)
    assert any(told.what == "promotion waits" for told in trio.told("n1", Narrate))


def test_only_voter_is_replaced(led):
    """It cannot hand over before its replacement votes: it leads through the joint configuration, then steps down."""
    one = led(1)
    one.join(member(2))
    assert isinstance(one.ask(AddVoter(member(2)), Remove("n1")), Accepted)
    one.run(1)
    assert (one.leader, one.voters("n2")) == ("n2", "n2")
    assert one.told("n1", Expelled)


def test_who_leaves_with_a_joint_configuration_is_heard_until_that_is_left_and_committed(make_cluster):
    """Also by who restarts between the two: the simulator's seed 500200068, in which a learner that did told the only voter
    with the whole log that it was removed, and nobody could ever be elected again."""
    cluster = make_cluster(1)
    one, two, three = member(1), member(2), member(3)
    joint = Configuration((two,), outgoing=(one,), learners=(three,), removed=("n1",))
    entries = tuple(
        Entry(index, 1, EntryKind.CONFIGURATION, encode_configuration(known))
        for index, known in enumerate((Configuration((one,)), joint, left(joint)), start=1)
    )
    for commit, barred in ((2, set()), (3, {"n1"})):
        core = cluster.make("n3", Restored(HardState(1, "", commit), None, Configuration((one,)), entries))
        assert core.belonging.barred == barred, f"with {commit} committed"


def test_learner_that_does_not_keep_up_stays_one_and_tries_again(led):
    trio = led(3, catch_up_rounds_max=3)
    trio.ask(AddVoter(N4))
    leader = trio.cores["n1"]
    rounds = leader.role.membership
    catch_up = rounds.catching_up["n4"]
    for number in (1, 2, 3):
        assert (catch_up.number, catch_up.pause_until) == (number, None)
        catch_up.began_at -= 0.6
        rounds.on_match("n4", leader.log.last)
    assert catch_up.pause_until == leader.now + leader.options.catch_up_pause_s
    leader.drain()
    status = leader.status(leader.now).peers["n4"]
    assert (status.votes, status.catch_up.pauses_s) == (False, 5.0)
    trio.join(N4)
    trio.run(4.9)
    assert trio.voters("n4") == "n1 n2 n3", "it has everything, and waits"
    trio.run(0.3)
    assert trio.voters("n4") == "n1 n2 n3 n4"


def test_silent_learner_is_given_up_once_and_promoted_when_it_comes(led):
    trio = led(3)
    trio.ask(AddVoter(N4))
    trio.run(20)
    given_up = [told for told in trio.told("n1", Narrate) if told.what == "catching up given up"]
    assert [str(told) for told in given_up] == [
        "catching up given up who=n4: no answer for 5000 ms; it stays a learner for now"
    ]
    assert trio.voters("n1") == "n1 n2 n3"
    trio.join(N4)
    trio.run(6)
    assert trio.voters("n4") == "n1 n2 n3 n4"


def test_promotion_waits_for_a_quorum_of_the_voters_then(led):
    """Two of three answer; with n4 three of four are needed, and n4 fell silent when it was ready."""
    trio = led(3)
    trio.ask(AddVoter(N4))
    trio.down.add("n3")
    trio.run(0.7)
    leader = trio.cores["n1"]
    leader.role.membership.catching_up["n4"].ready = True
    leader.role.membership.go_on()
    trio.settle()
    assert str([told for told in trio.told("n1", Narrate) if told.what == "promotion waits"][-1]) == (
        "promotion waits of=n4: after this change a majority is 3 of 4 voters (n1 n2 n3 n4), "
        "and 2 of them answer: n1 n2"
    )
    trio.run(0.1)
    assert not leader.role.membership.catching_up["n4"].ready


# ---- catching up is visible ----


def test_status_shows_rounds_and_lag(led):
    from swarmtui.raft.text import status_line

    trio = led(3)
    trio.ask(AddVoter(N4))
    status = trio.cores["n1"].status(trio.now)
    assert (status.peers["n4"].votes, status.peers["n4"].lag) == (False, 3)
    assert (status.peers["n4"].catch_up.round, status.peers["n4"].catch_up.target) == (1, 3)
    assert "n4 probe match 0 next 4 learner round 1 to 3" in status_line(status)
    assert status.peers["n2"].catch_up is None


# ---- refusals ----


def test_S38_no_change_before_an_entry_of_the_own_term(led):
    trio = led(3)
    trio.isolate("n2")
    trio.down.add("n1")
    core = trio.cores["n2"]
    core.follow(5, "", "test")
    core.lead("test", {})
    answer = MembersAsked(7, 5, (Remove("n3"),))
    trio.feed("n2", answer)
    assert refused(trio.told("n2", Refused)[-1]) == ("own-term", "index 3, this leader's first, is not committed")


def test_S44_second_change_waits_for_the_first_and_is_told_so(led):
    trio = led(3)
    trio.isolate("n1")
    trio.ask(AddLearner(N4))
    assert refused(trio.ask(AddLearner(N5))) == ("in-flight", "the change at index 3 is not committed")


def test_joint_configuration_is_a_change_in_flight(led):
    five = led(5)
    five.isolate("n1")
    five.ask(Remove("n4"), Remove("n5"))
    assert refused(five.ask(AddLearner(member(6))))[0] == "in-flight"


@pytest.mark.parametrize(
    ("change", "rule", "reason"),
    [
        (Remove("n9"), "members", "n9 is no member"),
        (AddVoter(member(2)), "members", "n2 is a voter already"),
    ],
)
def test_change_without_sense_is_refused(led, change, rule, reason):
    assert refused(led(3).ask(change)) == (rule, reason)


def test_only_the_leader_of_that_term_changes_members(led):
    trio = led(3)
    trio.feed("n2", MembersAsked(1, 2, (Remove("n3"),)))
    assert refused(trio.told("n2", Refused)[-1]) == ("not-leader", "n2 does not lead, the leader is n1")
    trio.feed("n1", MembersAsked(1, 1, (Remove("n3"),)))
    assert refused(trio.told("n1", Refused)[-1]) == ("wrong-term", "asked for term 1, this node leads term 2")


def test_members_are_not_changed_by_a_proposal(led):
    trio = led(3)
    wanted = encode_configuration(Configuration((member(1),)))
    trio.feed("n1", Proposed(1, 2, (wanted,), EntryKind.CONFIGURATION))
    assert trio.told("n1", Refused)[-1].rule == "malformed"


def test_change_during_a_transfer_is_refused(led):
    trio = led(3)
    trio.cores["n1"].role.transfer.target = "n2"
    assert refused(trio.ask(AddLearner(N4))) == ("transfer", "leadership is being handed to n2")


# ---- the guard ----


def test_removing_a_living_voter_beside_a_dead_one_is_refused_with_the_arithmetic(led):
    trio = led(3)
    trio.down.add("n3")
    trio.run(0.7)
    assert refused(trio.ask(Remove("n2"))) == (
        "quorum",
        "after this change a majority is 2 of 2 voters (n1 n3), and 1 of them answer: n1",
    )
    assert isinstance(trio.ask(Remove("n3")), Accepted), "the dead one may go"
    trio.run(0.1)
    assert trio.voters("n2") == "n1 n2"


def test_both_halves_of_a_joint_change_must_be_reachable(led):
    five = led(5)
    five.down.update({"n4", "n5"})
    five.run(0.7)
    assert isinstance(five.ask(Remove("n4"), Remove("n5")), Accepted)
    five.run(0.3)
    assert five.voters("n3") == "n1 n2 n3"
    other = led(5)
    other.feed("n1", Unreachable("n4"))
    other.feed("n1", Unreachable("n5"))
    assert refused(other.ask(Remove("n2"), Demote("n3"))) == (
        "quorum",
        "after this change a majority is 2 of 3 voters (n1 n4 n5), and 1 of them answer: n1",
    )


def test_S43_one_of_two_voters_is_removed_while_down(led):
    """The quorum of the rest is the leader alone: done. Later, when it knows that it lost its quorum, it leads no more."""
    duo = led(2)
    duo.down.add("n2")
    assert isinstance(duo.ask(Remove("n2")), Accepted)
    duo.run(0.1)
    assert duo.cores["n1"].log.commit == 3
    late = led(2)
    late.down.add("n2")
    late.run(1)
    late.feed("n1", MembersAsked(1, late.cores["n1"].term, (Remove("n2"),)))
    assert late.told("n1", Refused)[-1].rule == "not-leader"


# ---- leaving ----


def test_leader_that_would_leave_hands_over_first(led):
    trio = led(3)
    assert refused(trio.ask(Remove("n1"))) == (
        "leader-leaves",
        "n1 leads and would leave: leadership is being handed to n3, ask again there",
    )
    trio.run(0.3)
    assert trio.leader == "n3"
    assert isinstance(trio.ask(Remove("n1")), Accepted)
    trio.run(0.1)
    assert trio.voters("n2") == "n2 n3"
    assert trio.told("n1", Expelled)


def test_leader_without_an_heir_stays(led):
    duo = led(2)
    duo.down.add("n2")
    duo.feed("n1", Unreachable("n2"))
    assert refused(duo.ask(Demote("n1")))[0] == "quorum"
    assert refused(led(1).ask(Remove("n1"))) == ("members", "a configuration needs at least one voter")


def test_demoted_voter_follows_as_a_learner_and_can_be_promoted_again(led):
    trio = led(3)
    trio.ask(Demote("n3"))
    trio.run(0.2)
    assert trio.cores["n3"].role.kind is Role.LEARNER
    assert [told.cause for told in trio.told("n3", RoleChanged)][-1] == "no longer a voter"
    trio.ask(AddVoter(member(3)))
    trio.run(0.3)
    assert trio.cores["n3"].role.kind is Role.FOLLOWER
    assert trio.voters("n3") == "n1 n2 n3"


def test_address_changes_everywhere_and_identity_stays(led):
    trio = led(3)
    trio.ask(Move(Member("n2", "second", "10.0.0.2:1")))
    trio.run(0.1)
    for core in trio.cores.values():
        assert core.members.current.member("n2") == Member("n2", "second", "10.0.0.2:1")
        assert core.name("n2") == "second"


def test_S14_removed_node_is_told_at_once_and_on_every_word(led):
    trio = led(3)
    trio.isolate("n3")
    trio.ask(Remove("n3"))
    trio.run(0.2)
    term = trio.cores["n1"].term
    assert not trio.told("n3", Expelled), "the notice was lost"
    trio.cut = set()
    trio.run(3)
    assert [told.reason for told in trio.told("n3", Expelled)] == ["n1 says: removed by the configuration of index 3"]
    assert trio.cores["n3"].role.kind is Role.FOLLOWER, "it believes to be a voter, and stands no more"
    assert trio.cores["n3"].status(trio.now).expelled
    asked = len([told for told in trio.told("n3", Send) if isinstance(told.message, VoteRequest)])
    trio.run(5)
    assert asked == len([told for told in trio.told("n3", Send) if isinstance(told.message, VoteRequest)])
    assert (trio.leader, trio.cores["n1"].term) == ("n1", term), "nobody was disturbed"


def test_who_was_removed_is_told_whatever_it_says_and_not_listened_to(led):
    trio = led(3)
    trio.isolate("n3")
    trio.ask(Remove("n3"))
    trio.run(0.2)
    trio.cut = set()
    request = VoteRequest(cluster="c", source="n3", target="n2", term=99, last_index=9, last_term=9)
    trio.feed("n2", Received(request))
    assert trio.cores["n2"].term == 2
    notice = trio.told("n2", Send)[-1].message
    assert notice == RemovedNotice(cluster="c", source="n2", target="n3", term=2, index=3)


def test_uncommitted_removal_bars_nobody(led):
    """A new leader may take it back."""
    trio = led(3)
    trio.isolate("n1")
    trio.ask(Remove("n3"))
    assert not trio.cores["n1"].belonging.barred
    request = VoteRequest(cluster="c", source="n3", target="n1", term=99, last_index=9, last_term=9, transfer=True)
    trio.feed("n1", Received(request))
    assert trio.cores["n1"].term == 99
    assert not trio.told("n1", Expelled)


def test_removal_is_committed_before_the_change_behind_it_is(trio):
    """Where both come at once: who lags was told that a change is committed only when no other was in its log behind it."""
    first = Configuration((member(1), member(2)), removed=("n3",))
    second = Configuration((member(1), member(2)), learners=(N4,), removed=("n3",))
    entries = tuple(
        Entry(index, 2, EntryKind.CONFIGURATION, encode_configuration(known))
        for index, known in enumerate((first, second), start=2)
    )
    append = Append(
        cluster="c", source="n2", target="n1", term=2, session=1, previous_index=1, previous_term=1, commit=2,
        entries=entries,
    )  # fmt: skip
    core = trio.cores["n1"]
    trio.feed("n1", Received(append))
    assert (core.log.commit, core.members.index) == (2, 3)
    assert core.belonging.barred == {"n3"}
    told = [(one.index, one.committed) for one in trio.told("n1", MembersChanged)]
    assert told == [(3, False), (2, True)]
    trio.feed("n1", Received(VoteRequest(cluster="c", source="n3", target="n1", term=99, last_index=9, last_term=9)))
    assert isinstance(trio.told("n1", Send)[-1].message, RemovedNotice)
    assert core.term == 2
    trio.feed("n1", Received(attrs.evolve(append, previous_index=3, previous_term=2, commit=3, entries=())))
    told = [(one.index, one.committed) for one in trio.told("n1", MembersChanged)]
    assert told == [(3, False), (2, True), (3, True)]


def test_removed_node_knows_it_at_its_next_start(led):
    trio = led(3)
    gone = Configuration((member(1), member(2)), removed=("n3",))
    entry = Entry(2, 2, EntryKind.CONFIGURATION, encode_configuration(gone))
    core = trio.make(
        "n3", Restored(HardState(2, "", 2), None, Configuration((member(1),)), (Entry(1, 1, EntryKind.NOOP), entry))
    )
    (expelled,) = [effect for effect in core.drain() if isinstance(effect, Expelled)]
    assert expelled.reason == "removed from the members by the configuration of index 2"


def test_S41_leader_that_leaves_with_a_joint_configuration_leads_until_that_is_committed(led):
    """It was elected in the middle of a change that removes it: it finishes that, steps down, and an heir follows at once."""
    five = led(5)
    five.isolate("n1", "n2")
    five.ask(Remove("n2"), Remove("n3"))
    five.down.add("n1")
    five.cut = set()
    core = five.cores["n2"]
    core.begin_election("test", transfer=True)
    five.run(0.5)
    assert "n2" in [told.leader for told in five.told("n4", RoleChanged)]
    assert (Role.LEARNER, "removed from the voters") in [
        (told.role, told.cause) for told in five.told("n2", RoleChanged)
    ]
    assert five.told("n2", Expelled)
    assert five.leader in ("n4", "n5")
    assert five.voters(five.leader) == "n1 n4 n5"
    assert [told.cause for told in five.told(five.leader, RoleChanged)][-2] == "asked by transfer"


def test_S41_leader_that_leaves_does_not_count_itself(led):
    """Voters n2 n3, led by n1: one of them is not enough, whatever the leader's own disk holds."""
    trio = led(3)
    trio.down.add("n3")
    leader = trio.cores["n1"]
    without = Configuration((member(2), member(3)), removed=("n1",))
    leader.append([Entry(3, leader.term, EntryKind.CONFIGURATION, encode_configuration(without))])
    trio.settle()
    trio.run(0.2)
    assert leader.role.progress["n2"].match == leader.log.durable == 3
    assert leader.log.commit == 2
    trio.down.clear()
    trio.run(0.2)
    assert leader.log.commit == 3


# ---- joint configurations ----


@pytest.mark.parametrize("down", [{"n2", "n3"}, {"n3", "n4", "n5"}], ids=["new half lost", "old half lost"])
def test_S39_joint_configuration_commits_in_both_halves(led, down):
    """Voters n1 n2 n3, outgoing all five."""
    five = led(5)
    five.isolate("n1")
    five.ask(Remove("n4"), Remove("n5"))
    assert five.voters("n1") == "n1 n2 n3 / n1 n2 n3 n4 n5"
    five.cut = set()
    five.down.update(down)
    five.run(0.2)
    assert five.cores["n1"].log.commit == 2
    assert five.voters("n1") == "n1 n2 n3 / n1 n2 n3 n4 n5"
    five.down.clear()
    five.run(0.3)
    assert five.voters("n2") == "n1 n2 n3"


@pytest.mark.parametrize("down", [{"n2", "n3"}, {"n3", "n4", "n5"}], ids=["new half lost", "old half lost"])
def test_S39_joint_configuration_elects_in_both_halves(led, down):
    """Voters n1 n2 n3, outgoing all five; everybody knows it, nobody leads."""
    five = led(5)
    five.cores["n1"].role.membership.go_on = lambda: None
    five.ask(Remove("n4"), Remove("n5"))
    five.run(0.2)
    assert {five.voters(id) for id in five.cores} == {"n1 n2 n3 / n1 n2 n3 n4 n5"}
    five.cut = {(a, b) for a in five.cores for b in five.cores}
    five.run(3, until=lambda: not five.leader)
    five.cut = set()
    five.down.update(down)
    five.run(5)
    assert not five.leader
    five.down.clear()
    five.run(3)
    assert five.voters(five.leader) == "n1 n2 n3"


@pytest.mark.parametrize("stage", ["only the leader has it", "a follower has it", "committed"])
def test_S39_leader_fails_at_each_stage_of_a_joint_change(led, stage):
    """B03: whoever leads next leaves the joint configuration, or never had it."""
    five = led(5)
    five.isolate("n1", *{"only the leader has it": (), "a follower has it": ("n3",), "committed": ("n2", "n3")}[stage])
    leader = five.cores["n1"]
    leader.role.membership.go_on = lambda: None  # it fails before it leaves the joint configuration
    five.ask(Demote("n4"), Remove("n5"))
    assert leader.log.commit == (3 if stage == "committed" else 2)
    five.down.add("n1")
    five.cut = set()
    five.run(5, until=lambda: bool(five.leader))
    five.run(1)
    final = five.voters(five.leader)
    assert final == ("n1 n2 n3 n4 n5" if stage == "only the leader has it" else "n1 n2 n3")
    assert all(five.voters(id) == final for id in ("n2", "n3"))


def test_leaving_a_joint_configuration_is_idempotent(led):
    five = led(5)
    five.ask(Remove("n4"), Remove("n5"))
    five.run(0.3)
    leader = five.cores["n1"]
    last = leader.log.last
    for _ in range(3):
        leader.role.membership.go_on()
        leader.role.membership.on_commit()
    five.run(0.3)
    assert leader.log.last == last


def test_only_log_with_a_configuration_without_its_node_can_still_be_elected(led):
    """Dissertation 4.2.2: of two voters one leaves, appends that alone, and crashes; nobody else can win then."""
    duo = led(2)
    alone = Configuration((member(2),), removed=("n1",))
    core = duo.cores["n1"]
    core.append([Entry(core.log.last + 1, core.term, EntryKind.CONFIGURATION, encode_configuration(alone))])
    duo.isolate("n1")
    duo.settle()
    duo.run(2)
    duo.cut = set()
    duo.run(3)
    assert duo.voters("n2") == "n2"
    assert duo.leader == "n2"
    assert duo.told("n1", Expelled)


# ---- a configuration in force on append ----


def test_S16_configuration_that_is_not_applied_decides_who_campaigns(led):
    """Demoted by an entry that is committed and not yet applied after a restart: it does not stand."""
    trio = led(3)
    learner = Configuration((member(1), member(2)), learners=(member(3),))
    entries = (Entry(1, 1, EntryKind.NOOP), Entry(2, 2, EntryKind.CONFIGURATION, encode_configuration(learner)))
    everybody = Configuration((member(1), member(2), member(3)))
    core = trio.make("n3", Restored(HardState(2, "", 2), None, everybody, entries))
    assert (core.applied, core.role.kind) == (0, Role.LEARNER)
    core.feed(Tick(), trio.now + 5)
    assert core.term == 2
    assert not [effect for effect in core.drain() if isinstance(effect, Send)]


def test_S40_change_that_was_taken_back_is_told(led):
    trio = led(3)
    trio.isolate("n1")
    trio.ask(Demote("n2"))
    trio.run(3, until=lambda: trio.leader in ("n2", "n3"))
    trio.cut = set()
    trio.run(0.5)
    told = [(told.index, str(told.configuration)) for told in trio.told("n1", MembersChanged)]
    assert told == [(3, "voters n1 n3 learners n2"), (1, "voters n1 n2 n3")]


@pytest.mark.parametrize("case", ["learner", "removed", "old term"])
def test_S50_campaign_now_is_ignored_by_who_may_not(led, case):
    trio = led(3)
    target, term = "n3", trio.cores["n1"].term
    if case == "learner":
        trio.ask(Demote("n3"))
    elif case == "removed":
        trio.ask(Remove("n3"))
    else:
        term -= 1
    trio.run(0.2)
    trio.feed(target, Received(TimeoutNow(cluster="c", source="n1", target=target, term=term)))
    assert trio.cores[target].term == 2
    assert trio.cores[target].role.kind in (Role.LEARNER, Role.FOLLOWER)


def test_two_uncommitted_configurations_stop_the_node(led):
    trio = led(3)
    core = trio.cores["n2"]
    one, two = Configuration((member(1), member(2))), Configuration((member(1),))
    core.append(
        [
            Entry(core.log.last + 1, 2, EntryKind.CONFIGURATION, encode_configuration(one)),
            Entry(core.log.last + 2, 2, EntryKind.CONFIGURATION, encode_configuration(two)),
        ]
    )
    with pytest.raises(InvariantViolation, match="one change of members at a time"):
        core.drain()


# ---- reads of followers, which need no round where the asker and the leader are a majority ----

FIVE_TO_THREE = (Remove("n4"), Remove("n5"))


@pytest.mark.parametrize(
    ("count", "changes", "asker", "at_once"),
    [
        (3, (), "n2", True),
        (3, (), "n9", False),
        (3, (AddLearner(N4),), "n4", False),
        (3, (AddLearner(N4),), "n3", True),
        (3, (Demote("n3"),), "n3", False),
        (3, (Demote("n3"),), "n2", True),
        (4, (), "n2", False),
        (4, (Remove("n4"),), "n2", True),
        (5, FIVE_TO_THREE, "n2", False),
        (5, FIVE_TO_THREE, "n4", False),
        (1, (AddLearner(N4),), "n4", True),
    ],
    ids=[
        "voter of three",
        "stranger",
        "learner beside three",
        "voter beside a learner",
        "voter that is being demoted",
        "voter that stays of two",
        "voter of four",
        "voter of four that become three",
        "voter of both halves, a majority of one",
        "voter of the outgoing half",
        "learner of an only voter",
    ],
)
def test_question_of_a_follower_is_as_good_as_its_answer_only_where_two_are_a_majority(
    led, count, changes, asker, at_once
):
    """The leader is cut off, so that no round ends; the change is in force, and not committed."""
    cluster = led(count)
    leader = cluster.cores["n1"]
    cluster.isolate("n1")
    if changes:
        cluster.ask(*changes)
    question = ReadRequest(cluster="c", source=asker, target="n1", term=leader.term, ticket=7)
    cluster.feed("n1", Received(question))
    answers = [e.message for e in cluster.told("n1", Send) if isinstance(e.message, ReadReply)]
    assert [answer.index for answer in answers] == ([leader.log.commit] if at_once else [])
