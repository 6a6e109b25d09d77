"""Guards that belong to no scenario: each was missing once in a copy of this code, and nothing else noticed."""

from __future__ import annotations

import zlib

import attrs
import pytest

from swarmtui.raft.changes import Remove
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.effects import HardState, InstallSnapshot, Narrate, ReadRefused, Refused, Send, Write, WriteChunk
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import (
    ChunkOutcome,
    ChunkWritten,
    Proposed,
    ReadAsked,
    Received,
    SnapshotInstalled,
    SnapshotTaken,
    Tick,
    Unreachable,
    Written,
)
from swarmtui.raft.invariants import InvariantViolation
from swarmtui.raft.log import Restored
from swarmtui.raft.messages import (
    Append,
    AppendReply,
    SnapshotChunk,
    SnapshotMark,
    SnapshotReply,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from swarmtui.raft.options import RaftOptions
from swarmtui.raft.progress import ProgressState
from swarmtui.raft.voting import vote_for

THREE = Configuration(tuple(Member(f"n{i}", f"n{i}", f"a{i}") for i in (1, 2, 3)))


def noop(index: int, term: int) -> Entry:
    return Entry(index, term, EntryKind.NOOP)


def append(*entries: Entry, term: int = 2, previous: tuple[int, int] = (1, 1), commit: int = 1) -> Received:
    return Received(
        Append(
            cluster="c",
            source="n2",
            target="n1",
            term=term,
            session=1,
            previous_index=previous[0],
            previous_term=previous[1],
            commit=commit,
            entries=entries,
        )
    )


def asks_for_votes(effects) -> list[VoteRequest]:
    return [e.message for e in effects if isinstance(e, Send) and isinstance(e.message, VoteRequest)]


def why_not(effects) -> list[str]:
    return [e.why.rule for e in effects if isinstance(e, Narrate) and e.what == "no pre-vote asked" and e.why]


# ---- who stands ----


def piece_of(mark: SnapshotMark) -> SnapshotChunk:
    """All of it."""
    data = bytes(mark.size_bytes)
    return SnapshotChunk(
        cluster="c", source="n2", target="n1", term=2, session=1, mark=mark, offset=0, data=data,
        chunk_checksum=zlib.crc32(data),
    )  # fmt: skip


def receive_all_of(core, mark: SnapshotMark) -> None:
    """In one piece, which the disk is to write now."""
    core.feed(Received(piece_of(mark)), 0.0)
    assert [effect for effect in core.drain() if isinstance(effect, WriteChunk)]


def begin_installing(core, mark: SnapshotMark) -> None:
    """It is whole, and is being put in the place of the log."""
    receive_all_of(core, mark)
    core.feed(ChunkWritten(mark, 10, ChunkOutcome.COMPLETE), 0.0)
    core.drain()
    core.feed(Written(core.log.sequence), 0.0)  # what came before


def test_nobody_stands_while_a_snapshot_takes_the_place_of_its_log(trio):
    """Elected meanwhile it would append to a log that is about to be another one."""
    core, mark = trio.cores["n1"], SnapshotMark(5, 2, THREE, 10, "")
    begin_installing(core, mark)
    core.feed(Tick(), 2.0)
    core.feed(Received(TimeoutNow(cluster="c", source="n2", target="n1", term=2)), 2.0)
    effects = core.drain()
    assert why_not(effects) == ["installing", "installing"]
    assert not asks_for_votes(effects)
    core.feed(SnapshotInstalled(mark), 2.0)
    core.feed(Tick(), 4.0)
    assert asks_for_votes(core.drain())


def test_nobody_stands_whose_disk_hangs(trio):
    """It could not even tell its own vote."""
    core = trio.cores["n1"]
    core.feed(append(noop(2, 2)), 0.0)
    assert [effect for effect in core.drain() if isinstance(effect, Write)]  # and it is never reported
    core.feed(Tick(), 2.0)
    effects = core.drain()
    assert why_not(effects) == ["disk-hangs"]
    assert not asks_for_votes(effects)


def test_a_snapshot_of_a_later_term_than_the_disk_knows_brings_that_term(trio):
    """As where the power failed between the snapshot that begins a new epoch and the term beside it: no term is led below
    that of the log."""
    core = trio.make("n1", Restored(HardState(3, "n2", 3), SnapshotMark(9, 50, THREE, 10, ""), THREE))
    assert (core.term, core.vote) == (50, "")
    core.feed(Tick(), 2.0)
    assert {request.term for request in asks_for_votes(core.drain())} == {51}


# ---- what a candidate and a leader count ----


def test_a_late_grant_of_a_pre_vote_is_no_vote(make_cluster):
    """It names the very term in which the candidate stands by now, and binds nobody."""
    core = make_cluster(5).cores["n1"]

    def hears(voter: str, *, pre: bool) -> str:
        reply = VoteReply(cluster="c", source=voter, target="n1", term=2, granted=True, pre=pre)
        core.feed(Received(reply), 2.0)
        core.drain()
        core.feed(Written(core.log.sequence), 2.0)
        core.drain()
        return str(core.role.kind)

    core.feed(Tick(), 2.0)
    core.drain()
    assert [hears("n2", pre=True), hears("n3", pre=True)] == ["pre-candidate", "candidate"]
    assert [hears("n4", pre=True), hears("n5", pre=True)] == ["candidate", "candidate"]
    assert [hears("n4", pre=False), hears("n5", pre=False)] == ["candidate", "leader"]


def test_a_new_leader_takes_nobody_for_reachable_who_has_not_answered_it(make_cluster):
    """The guard of a change would count a voter that has been dead for long, for an election timeout after each election."""
    cluster = make_cluster(3)
    cluster.down.add("n3")
    leader = cluster.elect()
    cluster.run(10, until=lambda: cluster.cores[leader].log.commit == 2)
    other = next(id for id in ("n1", "n2") if id != leader)
    answer = cluster.ask(Remove(other))
    assert isinstance(answer, Refused)
    assert (
        answer.reason == f"after this change a majority is 2 of 2 voters ({leader} n3), and 1 of them answer: {leader}"
    )


# ---- the log ----


def test_a_stale_append_from_before_what_was_compacted_is_harmless(make_cluster):
    """Its first entries are in the snapshot, the others are here: nothing is appended twice, and nothing is dropped."""
    cluster = make_cluster(3, options=RaftOptions(keep_entries=0))
    entries = tuple(noop(index, 2) for index in range(2, 7))
    cluster.feed("n1", append(*entries, commit=4))
    core = cluster.cores["n1"]
    cluster.feed("n1", SnapshotTaken(SnapshotMark(4, 2, THREE, 10, "")))
    assert (core.log.base, core.log.last) == (4, 6)
    cluster.feed("n1", append(*entries, commit=4))
    assert (core.log.base, core.log.last, core.log.term_at(6)) == (4, 6, 2)
    cluster.feed("n1", append(*entries, noop(7, 2), commit=7))
    assert (core.log.last, core.log.commit) == (7, 7)


def test_a_snapshot_that_the_log_has_overtaken_is_not_installed(trio):
    """What it holds was committed here while its last piece was written: it would take the commit index back."""
    core, mark = trio.cores["n1"], SnapshotMark(3, 2, THREE, 10, "")
    receive_all_of(core, mark)
    core.feed(append(noop(2, 2), noop(3, 2), noop(4, 2), commit=4), 0.0)
    core.drain()
    core.feed(ChunkWritten(mark, 10, ChunkOutcome.COMPLETE), 0.0)
    assert not [effect for effect in core.drain() if isinstance(effect, InstallSnapshot)]
    core.feed(Written(core.log.sequence), 0.0)
    core.drain()
    assert (core.log.base, core.log.commit, core.log.last) == (0, 4, 4)


def test_a_snapshot_of_what_is_committed_and_not_durable_is_not_acknowledged(trio):
    """The leader would count entries that are on no disk here; they are acknowledged themselves when they are."""
    core, mark = trio.cores["n1"], SnapshotMark(3, 2, THREE, 10, "")
    core.feed(append(noop(2, 2), noop(3, 2), commit=3), 0.0)
    core.drain()
    assert (core.log.commit, core.log.durable) == (3, 1)
    core.feed(Received(piece_of(mark)), 0.0)
    assert not [effect for effect in core.drain() if isinstance(effect, Send)]
    core.feed(Written(core.log.sequence), 0.0)
    core.feed(Received(piece_of(mark)), 0.0)
    sent = [effect.message for effect in core.drain() if isinstance(effect, Send)]
    assert [(message.index, message.installed) for message in sent if isinstance(message, SnapshotReply)] == [(3, True)]


def test_whoever_stands_meanwhile_installs_no_snapshot(trio):
    """It may lead before that is done."""
    core, mark = trio.cores["n1"], SnapshotMark(5, 2, THREE, 10, "")
    receive_all_of(core, mark)
    core.feed(Written(core.log.sequence), 0.0)
    core.feed(Tick(), 2.0)
    core.feed(ChunkWritten(mark, 10, ChunkOutcome.COMPLETE), 2.0)
    effects = core.drain()
    assert asks_for_votes(effects)
    assert not [effect for effect in effects if isinstance(effect, InstallSnapshot)]


def test_what_came_before_a_snapshot_is_on_its_way_to_the_disk_before_it(trio):
    """Behind it the disk would take it for what follows the snapshot."""
    core, mark = trio.cores["n1"], SnapshotMark(5, 2, THREE, 10, "")
    receive_all_of(core, mark)
    core.feed(append(noop(2, 2), noop(3, 2)), 0.0)
    core.feed(ChunkWritten(mark, 10, ChunkOutcome.COMPLETE), 0.0)
    core.feed(append(term=3), 0.0)
    order = [effect for effect in core.drain() if isinstance(effect, Write | InstallSnapshot)]
    assert [type(effect) for effect in order] == [Write, InstallSnapshot, Write]
    assert [entry.index for entry in order[0].entries] == [2, 3]
    assert order[2].entries == ()


def test_a_write_from_before_a_snapshot_vouches_for_nothing_behind_it(trio):
    """A term that is written while the snapshot takes the log's place; it was to make a longer log durable."""
    core, mark = trio.cores["n1"], SnapshotMark(3, 2, THREE, 10, "")
    core.feed(append(noop(2, 1), noop(3, 1), noop(4, 1)), 0.0)
    core.drain()
    begin_installing(core, mark)
    core.feed(append(term=3), 0.0)
    (write,) = [effect for effect in core.drain() if isinstance(effect, Write)]
    core.feed(SnapshotInstalled(mark), 0.0)
    core.feed(Written(write.sequence), 0.0)
    core.drain()
    assert (core.log.last, core.log.durable) == (3, 3)


def test_an_answer_to_a_heartbeat_begins_no_snapshot_again(make_cluster):
    """Of a peer that is behind the log, and that says so with each heartbeat while it gets the pieces."""
    cluster = make_cluster(3, options=RaftOptions(keep_entries=0, keep_bytes_max=0))
    leader = cluster.cores[cluster.elect()]
    cluster.run(0.2)
    away = next(id for id in cluster.cores if id != leader.node_id)
    cluster.down.add(away)
    for ticket in range(5):
        cluster.feed(leader.node_id, Proposed(ticket, leader.term, (b"x",)))
    cluster.feed(leader.node_id, SnapshotTaken(SnapshotMark(leader.applied, leader.term, THREE, 10, "")))
    cluster.down.clear()
    cluster.run(0.3)
    outgoing = leader.progress[away].outgoing
    assert outgoing is not None
    cluster.run(0.3)
    assert leader.progress[away].heard_at > cluster.now - 0.2
    assert leader.progress[away].state is ProgressState.SNAPSHOT
    assert leader.progress[away].outgoing is outgoing


# ---- reads ----


def test_a_read_of_a_follower_is_refused_when_its_leader_changes(trio):
    """Nobody would ever answer it."""
    core = trio.cores["n1"]
    core.feed(append(), 0.0)
    core.feed(ReadAsked(7), 0.0)
    core.drain()
    core.feed(append(term=3), 0.0)
    refused = [(effect.ticket, effect.why.rule) for effect in core.drain() if isinstance(effect, ReadRefused)]
    assert refused == [(7, "leader-changed")]


# ---- what only rises ----


def led_with_three_entries(cluster):
    """The core that leads, one of its peers, and that peer's acknowledgement of everything."""
    leader = cluster.cores[cluster.elect()]
    cluster.run(0.2)
    for ticket in range(3):
        cluster.feed(leader.node_id, Proposed(ticket, leader.term, (b"x",)))
    peer, progress = next(iter(leader.progress.items()))
    assert progress.match == leader.log.last == 5
    answer = AppendReply(
        cluster="c", source=peer, target=leader.node_id, term=leader.term, session=progress.session, accepted=True,
        match=5, previous_index=5,
    )  # fmt: skip
    return leader, progress, answer


def test_a_late_acknowledgement_takes_nothing_back(trio):
    """The answers of one peer may overtake each other (raft.tla#18, PySyncObj#166)."""
    leader, progress, answer = led_with_three_entries(trio)
    trio.feed(leader.node_id, Received(attrs.evolve(answer, match=2, previous_index=2)))
    assert (progress.match, progress.next) == (5, 6)


def test_a_late_acknowledgement_takes_no_search_back(trio):
    """Neither where a new connection made the leader look again how far the logs agree."""
    leader, progress, answer = led_with_three_entries(trio)
    leader.feed(Unreachable(answer.source), trio.now)
    assert progress.state is ProgressState.PROBE
    leader.feed(Received(attrs.evolve(answer, match=2, previous_index=2)), trio.now)
    assert (progress.match, progress.next) == (5, 6)
    leader.drain()


# ---- what stops the node ----


@pytest.mark.parametrize(
    ("attribute", "value", "rule"),
    [
        ("applied", 9, "applied <= handed <= commit <= last"),
        ("handed", 9, "applied <= handed <= commit <= last"),
        ("log.commit", 9, "applied <= handed <= commit <= last"),
        ("log.durable", 1, "handed <= durable <= last"),
        ("log.durable", 9, "handed <= durable <= last"),
        ("snapshot", SnapshotMark(4, 2, THREE, 10, ""), "base <= snapshot <= applied"),
    ],
)
def test_markers_out_of_order_stop_the_node(make_cluster, attribute, value, rule):
    """Whatever bug may have put them so: nothing that follows from it leaves this node."""
    cluster = make_cluster(1)
    cluster.elect()
    core = cluster.cores["n1"]
    assert (core.applied, core.handed, core.log.commit, core.log.durable, core.log.last) == (2, 2, 2, 2, 2)
    owner, _, name = attribute.rpartition(".")
    setattr(core.log if owner else core, name, value)
    with pytest.raises(InvariantViolation, match=rule):
        core.drain()


def test_a_peer_that_is_to_get_what_there_is_not_stops_its_leader(trio):
    leader, progress, _ = led_with_three_entries(trio)
    progress.next = 9
    with pytest.raises(InvariantViolation, match="match < next <= last"):
        leader.drain()


def test_a_second_leader_of_a_term_stops_its_follower(trio):
    core = trio.cores["n1"]
    core.feed(append(), 0.0)
    with pytest.raises(InvariantViolation, match="one leader in a term: term=2 leader=n2 other=n3"):
        core.feed(Received(attrs.evolve(append().message, source="n3")), 0.0)


def test_a_second_vote_in_a_term_stops_the_node(trio):
    core = trio.cores["n1"]
    reply = VoteReply(cluster="c", source="n1", target="n2", term=1, granted=True)
    vote_for(core, reply)
    with pytest.raises(InvariantViolation, match="one vote in a term"):
        vote_for(core, attrs.evolve(reply, target="n3"))


def test_a_snapshot_of_what_is_not_applied_stops_the_node(trio):
    with pytest.raises(InvariantViolation, match="a snapshot holds what is applied: mark=7"):
        trio.cores["n1"].feed(SnapshotTaken(SnapshotMark(7, 2, THREE, 10, "")), 0.0)
