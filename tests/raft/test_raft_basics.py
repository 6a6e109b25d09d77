"""The plain life of a small cluster: elect, replicate, commit, lose a leader."""

from __future__ import annotations

from swarmtui.raft.effects import Accepted, Refused, RoleChanged
from swarmtui.raft.entries import EntryKind
from swarmtui.raft.inputs import CampaignAsked, LeaderLost, Proposed, ReadAsked, TransferAsked


def of(trio, id, kind):
    return [effect for effect in trio.effects[id] if isinstance(effect, kind)]


def test_genesis_elects_the_first_manager_at_once(trio):
    trio.feed("n1", CampaignAsked())
    assert trio.leader == "n1"
    assert trio.cores["n1"].log.commit == 2
    trio.run(0.02)
    assert all(core.log.commit == 2 and core.role.leader == "n1" for core in trio.cores.values())


def test_timer_elects_a_leader_and_its_noop_is_committed_everywhere(trio):
    leader = trio.elect()
    trio.run(0.2)
    for id in trio.cores:
        assert [entry.kind for entry in trio.applied[id]] == [EntryKind.CONFIGURATION, EntryKind.NOOP]
    assert of(trio, leader, RoleChanged)[-1].cause.startswith("timer ran out (")


def test_proposals_are_applied_in_order_everywhere(trio):
    leader = trio.elect()
    term = trio.cores[leader].term
    for ticket in range(20):
        trio.feed(leader, Proposed(ticket, term, (b"%d" % ticket,)))
    trio.run(0.05)
    assert [effect.first_index for effect in of(trio, leader, Accepted)] == list(range(3, 23))
    for id in trio.cores:
        assert [entry.data for entry in trio.applied[id][2:]] == [b"%d" % i for i in range(20)]


def test_a_commit_is_told_by_the_append_that_follows_and_a_moment_after_the_last(trio):
    leader = trio.elect()
    trio.run(0.2)
    core = trio.cores[leader]
    followers = [id for id in trio.cores if id != leader]
    notice_s = core.options.commit_notice_s
    for ticket in (1, 2, 3):
        trio.feed(leader, Proposed(ticket, core.term, (b"x",)))
        assert core.role.notice_at == trio.now + notice_s, "of the newest alone: all before it are told"
        trio.run(notice_s * 0.6)
    assert {trio.cores[id].log.commit for id in followers} == {core.log.commit - 1}
    trio.run(notice_s * 0.5)
    assert {trio.cores[id].log.commit for id in followers} == {core.log.commit}
    assert core.role.notice_at is None


def test_follower_and_wrong_term_are_refused_by_rule(trio):
    leader = trio.elect()
    other = next(id for id in trio.cores if id != leader)
    trio.feed(other, Proposed(1, 2, (b"x",)))
    trio.feed(leader, Proposed(2, 1, (b"x",)))
    assert of(trio, other, Refused)[0].rule == "not-leader"
    assert of(trio, leader, Refused)[0].rule == "wrong-term"


def test_refused_dials_elect_within_milliseconds(trio):
    leader = trio.elect()
    trio.run(0.3)
    trio.down.add(leader)
    lost_at, term = trio.now, trio.cores[leader].term
    for id in trio.cores:
        if id != leader:
            trio.feed(id, LeaderLost(leader, term))
    trio.run(1, until=lambda: bool(trio.leader))
    assert trio.now - lost_at < 0.01
    assert "connection to leader refused," in of(trio, trio.leader, RoleChanged)[-1].cause


def test_false_hint_changes_nothing(trio):
    leader = trio.elect()
    trio.run(0.3)
    term = trio.cores[leader].term
    follower = next(id for id in trio.cores if id != leader)
    trio.feed(follower, LeaderLost(leader, term))
    trio.run(2)
    assert trio.leader == leader
    assert {core.term for core in trio.cores.values()} == {term}


def test_transfer_hands_over_at_once(trio):
    leader = trio.elect()
    trio.run(0.3)
    target = next(id for id in trio.cores if id != leader)
    trio.feed(leader, TransferAsked(7, target))
    assert trio.leader == target
    assert of(trio, target, RoleChanged)[-1].cause == "asked by transfer"


def test_reads_are_ready_on_every_manager(trio):
    from swarmtui.raft.effects import ReadReady

    trio.elect()
    trio.run(0.3)
    for id in trio.cores:
        trio.feed(id, ReadAsked(5))
        assert of(trio, id, ReadReady)[0].ticket == 5


def test_leader_without_quorum_refuses_then_steps_down(trio):
    leader = trio.elect()
    trio.run(0.3)
    others = [id for id in trio.cores if id != leader]
    trio.down.update(others)
    trio.run(1.0, until=lambda: not trio.leader)
    assert not trio.leader
    assert "lost contact to a quorum: 1 of 3" in of(trio, leader, RoleChanged)[-1].cause
