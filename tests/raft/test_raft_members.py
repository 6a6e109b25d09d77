"""Members: a configuration is in force when appended, taken back by truncation, and counts in both halves while joint."""

from __future__ import annotations

from itertools import combinations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.raft.changes import why_not_next
from swarmtui.raft.configuration import Configuration, Member, encode_configuration
from swarmtui.raft.effects import Accepted, HardState, Narrate, Refused, Role, RoleChanged
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import CampaignAsked, Proposed, Received, Tick
from swarmtui.raft.log import Restored
from swarmtui.raft.members import Members
from swarmtui.raft.messages import Append, TimeoutNow, VoteRequest

NEW = Member("n4", "n4", "127.0.0.1:7104")


def members(*numbers: int) -> tuple[Member, ...]:
    return tuple(Member(f"n{i}", f"n{i}", f"127.0.0.1:{7100 + i}") for i in numbers)


def entry(index: int, configuration: Configuration) -> Entry:
    return Entry(index, 1, EntryKind.CONFIGURATION, encode_configuration(configuration))


def change(trio, configuration: Configuration):
    """Ask the leader for this configuration; what it answered."""
    leader = trio.leader
    before = len(trio.effects[leader])
    proposal = Proposed(99, trio.cores[leader].term, (encode_configuration(configuration),), EntryKind.CONFIGURATION)
    trio.feed(leader, proposal)
    return next(e for e in trio.effects[leader][before:] if isinstance(e, Accepted | Refused))


def join(trio, member: Member) -> None:
    """A node that knows the cluster's members, and nothing of its log."""
    known = trio.cores["n1"].members.current
    trio.cores[member.id] = trio.make(member.id, Restored(HardState(), None, known))
    trio.applied[member.id], trio.effects[member.id] = [], []


some_ids = st.sets(st.sampled_from([1, 2, 3, 4, 5]), min_size=1)


@given(some_ids, st.one_of(st.just(set()), some_ids), some_ids, st.one_of(st.just(set()), some_ids))
def test_quorums_of_a_permitted_change_always_meet(voters, outgoing, wanted_voters, wanted_outgoing):
    now = Configuration(members(*voters), outgoing=members(*outgoing))
    wanted = Configuration(members(*wanted_voters), outgoing=members(*wanted_outgoing))
    if why_not_next(now, wanted):
        return
    everybody = [f"n{i}" for i in range(1, 6)]
    groups = [set(group) for size in range(1, 6) for group in combinations(everybody, size)]
    before, after = Members(now, 0).quorum, Members(wanted, 0).quorum
    for one in [group for group in groups if before.reached(group)]:
        assert all(one & other for other in groups if after.reached(other))


def test_two_voters_at_once_need_a_joint_configuration(trio):
    trio.elect()
    trio.run(0.3)
    refused = change(trio, Configuration(members(1, 4, 5)))
    assert (refused.rule, refused.reason) == (
        "unsafe-change",
        "4 voters change at once: that needs a joint configuration",
    )


def test_stack_follows_the_log():
    one, two, three = (Configuration(members(*range(1, count))) for count in (2, 3, 4))
    stack = Members(one, 0)
    stack.append([Entry(1, 1, EntryKind.NOOP), entry(2, two), entry(4, three)])
    assert (stack.index, stack.current) == (4, three)
    assert [stack.at(index) for index in range(5)] == [one, one, two, two, three]
    assert stack.truncate(3)
    assert (stack.index, stack.current) == (2, two)
    assert not stack.truncate(2)
    stack.compact(3)
    assert stack.at(5) == two
    stack.restart_at(three, 9, [])
    assert (stack.index, stack.current) == (9, three)


def test_learner_receives_and_never_counts(trio):
    trio.elect()
    trio.run(0.3)
    join(trio, NEW)
    assert isinstance(change(trio, Configuration(members(1, 2, 3), learners=(NEW,))), Accepted)
    trio.run(0.3)
    learner = trio.cores["n4"]
    assert learner.role.kind is Role.LEARNER
    assert learner.log.commit == trio.cores[trio.leader].log.commit == 3
    trio.down.update({"n1", "n2", "n3"} - {trio.leader})
    leader = trio.cores[trio.leader]
    trio.feed(leader.node_id, Proposed(1, leader.term, (b"x",)))
    trio.run(0.05)
    assert leader.log.commit == 3, "a leader and a learner are no quorum of three voters"


def test_learner_never_campaigns_and_ignores_timeout_now(trio):
    trio.elect()
    join(trio, NEW)
    change(trio, Configuration(members(1, 2, 3), learners=(NEW,)))
    trio.run(0.3)
    leader, learner = trio.leader, trio.cores["n4"]
    trio.feed("n4", Received(TimeoutNow(cluster="c", source=leader, target="n4", term=learner.term)))
    trio.down.update({"n1", "n2", "n3"})
    trio.run(3)
    assert learner.role.kind is Role.LEARNER
    assert learner.term == 2


def test_learner_that_was_not_told_that_it_votes_grants_its_vote(trio):
    """B04: votes are by the candidate's request, not by the own view of one's role."""
    join(trio, NEW)
    request = VoteRequest(cluster="c", source="n1", target="n4", term=5, last_index=3, last_term=4)
    trio.feed("n4", Received(request))
    assert trio.cores["n4"].vote == "n1"


def test_second_change_waits_for_the_first(trio):
    trio.elect()
    trio.run(0.3)
    trio.down.update({"n1", "n2", "n3"} - {trio.leader})
    assert isinstance(change(trio, Configuration(members(1, 2, 3), learners=(NEW,))), Accepted)
    refused = change(trio, Configuration(members(1, 2)))
    assert (refused.rule, refused.reason) == ("change-pending", "the change at index 3 is not committed")


def test_no_change_before_an_entry_of_the_own_term_is_committed(trio):
    """S38, the bug of single-server changes: two leaders of adjacent terms with one uncommitted change each."""
    leader = trio.elect()
    trio.run(0.3)
    other = next(id for id in trio.cores if id != leader)
    trio.down.add(leader)
    trio.run(3, until=lambda: trio.leader not in ("", leader))
    core = trio.cores[trio.leader]
    core.role.first_index = core.log.commit + 1  # as if nobody had acknowledged yet
    refused = change(trio, Configuration(members(1, 2)))
    assert refused.rule == "too-early"
    assert other


def test_change_that_is_no_configuration_is_refused(trio):
    trio.elect()
    trio.run(0.1)
    leader = trio.cores[trio.leader]
    trio.feed(leader.node_id, Proposed(1, leader.term, (b"rubbish",), EntryKind.CONFIGURATION))
    refused = trio.effects[leader.node_id][-1]
    assert isinstance(refused, Refused)
    assert refused.rule == "malformed"


def test_uncommitted_change_is_taken_back_with_its_entry(trio):
    """S40."""
    leader = trio.elect()
    trio.run(0.3)
    others = {"n1", "n2", "n3"} - {leader}
    trio.cut = {(leader, other) for other in others} | {(other, leader) for other in others}
    change(trio, Configuration(members(1, 2, 3), learners=(NEW,)))
    assert trio.cores[leader].members.current.learners == (NEW,)
    trio.run(3, until=lambda: trio.leader in others)
    trio.cut = set()
    trio.run(0.5)
    assert trio.cores[leader].role.kind is Role.FOLLOWER
    assert trio.cores[leader].members.current.learners == ()
    assert trio.cores[leader].members.index == 1


@pytest.mark.parametrize("down", [{"n2", "n3"}, {"n3", "n4", "n5"}], ids=["new half lost", "old half lost"])
def test_joint_configuration_commits_in_both_halves(make_cluster, down):
    """S39: voters n1 n2 n3, outgoing all five."""
    cluster = make_cluster(5)
    cluster.feed("n1", CampaignAsked())
    cluster.run(0.3)
    assert isinstance(change(cluster, Configuration(members(1, 2, 3), outgoing=members(1, 2, 3, 4, 5))), Accepted)
    cluster.run(0.3)
    leader = cluster.cores["n1"]
    assert leader.log.commit == 3
    cluster.down.update(down)
    cluster.feed("n1", Proposed(1, leader.term, (b"x",)))
    cluster.run(0.05)
    assert (leader.log.last, leader.log.commit) == (4, 3)
    cluster.down.clear()
    cluster.run(0.3)
    assert leader.log.commit == 4


def test_leader_that_is_removed_leads_until_that_is_committed(trio):
    """S41."""
    leader = trio.elect()
    trio.run(0.3)
    others = sorted({1, 2, 3} - {int(leader[1:])})
    assert isinstance(change(trio, Configuration(members(*others), removed=(leader,))), Accepted)
    left = [e for e in trio.effects[leader] if isinstance(e, RoleChanged)][-1]
    assert left.cause == "removed from the voters"
    trio.run(3, until=lambda: trio.leader in {f"n{i}" for i in others})
    assert trio.leader != leader
    trio.run(0.3)
    assert all(trio.cores[f"n{i}"].members.index == 3 for i in others)


def test_who_was_removed_is_not_listened_to(trio):
    trio.elect()
    core = trio.cores["n1"]
    core.append(
        [
            Entry(
                core.log.last + 1,
                core.term,
                EntryKind.CONFIGURATION,
                encode_configuration(Configuration(members(1, 2), removed=("n3",))),
            )
        ]
    )
    core.commit_to(core.log.last)
    term = core.term
    trio.feed("n1", Received(VoteRequest(cluster="c", source="n3", target="n1", term=99, last_index=9, last_term=9)))
    assert core.term == term


def test_hint_on_a_node_outside_the_voters_hurries_nothing(trio):
    from swarmtui.raft.inputs import LeaderLost

    trio.elect()
    join(trio, NEW)
    change(trio, Configuration(members(1, 2, 3), learners=(NEW,)))
    trio.run(0.3)
    trio.feed("n4", LeaderLost(trio.leader, 2))
    assert trio.cores["n4"].hurry is None
    trio.feed("n4", Tick())


@pytest.mark.parametrize(
    "broken",
    [
        {"cluster": "another"},
        {"target": "n2"},
        {"source": "n1"},
        {"term": 0},
    ],
    ids=lambda broken: next(iter(broken)),
)
def test_message_that_is_not_ours_is_dropped_before_its_term(trio, broken):
    """S58."""
    message = Append(
        cluster="c", source="n3", target="n1", term=99, session=1, previous_index=1, previous_term=1, commit=1
    )
    trio.feed("n1", Received(attrs.evolve(message, **broken)))
    assert trio.cores["n1"].term == 1
    assert any(isinstance(e, Narrate) and e.what == "dropped" for e in trio.effects["n1"])
