"""Members: a configuration is in force when appended, taken back by truncation, and counts in both halves while joint."""

from __future__ import annotations

from swarmtui.raft.changes import AddLearner
from swarmtui.raft.configuration import Configuration, Member, encode_configuration
from swarmtui.raft.effects import Accepted, Role
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import Proposed, Received, Tick
from swarmtui.raft.members import Members
from swarmtui.raft.messages import TimeoutNow, VoteRequest

NEW = Member("n4", "n4", "127.0.0.1:7104")


def members(*numbers: int) -> tuple[Member, ...]:
    return tuple(Member(f"n{i}", f"n{i}", f"127.0.0.1:{7100 + i}") for i in numbers)


def entry(index: int, configuration: Configuration) -> Entry:
    return Entry(index, 1, EntryKind.CONFIGURATION, encode_configuration(configuration))


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
    trio.join(NEW)
    assert isinstance(trio.ask(AddLearner(NEW)), Accepted)
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
    trio.join(NEW)
    trio.ask(AddLearner(NEW))
    trio.run(0.3)
    leader, learner = trio.leader, trio.cores["n4"]
    trio.feed("n4", Received(TimeoutNow(cluster="c", source=leader, target="n4", term=learner.term)))
    trio.down.update({"n1", "n2", "n3"})
    trio.run(3)
    assert learner.role.kind is Role.LEARNER
    assert learner.term == 2


def test_learner_that_was_not_told_that_it_votes_grants_its_vote(trio):
    """B04: votes are by the candidate's request, not by the own view of one's role."""
    trio.join(NEW)
    request = VoteRequest(cluster="c", source="n1", target="n4", term=5, last_index=3, last_term=4)
    trio.feed("n4", Received(request))
    assert trio.cores["n4"].vote == "n1"


def test_uncommitted_change_is_taken_back_with_its_entry(trio):
    """S40."""
    leader = trio.elect()
    trio.run(0.3)
    others = {"n1", "n2", "n3"} - {leader}
    trio.cut = {(leader, other) for other in others} | {(other, leader) for other in others}
    trio.ask(AddLearner(NEW))
    assert trio.cores[leader].members.current.learners == (NEW,)
    trio.run(3, until=lambda: trio.leader in others)
    trio.cut = set()
    trio.run(0.5)
    assert trio.cores[leader].role.kind is Role.FOLLOWER
    assert trio.cores[leader].members.current.learners == ()
    assert trio.cores[leader].members.index == 1


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
    trio.join(NEW)
    trio.ask(AddLearner(NEW))
    trio.run(0.3)
    trio.feed("n4", LeaderLost(trio.leader, 2))
    assert trio.cores["n4"].hurry is None
    trio.feed("n4", Tick())
