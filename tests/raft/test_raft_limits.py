"""What a peer may not do to us, and what a leader does not let itself be asked."""

from __future__ import annotations

import pytest

from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.effects import (
    Apply,
    Compact,
    InstallSnapshot,
    Narrate,
    ReadReady,
    ReadRefused,
    Refused,
    Send,
    WriteChunk,
)
from swarmtui.raft.entries import ENTRY_BYTES_MAX, Entry, EntryKind
from swarmtui.raft.inputs import (
    Applied,
    ChunkOutcome,
    ChunkWritten,
    Proposed,
    ReadAsked,
    Received,
    SnapshotInstalled,
    SnapshotTaken,
    Written,
)
from swarmtui.raft.invariants import InvariantViolation
from swarmtui.raft.messages import Append, AppendReply, ReadReply, ReadRequest, SnapshotChunk, SnapshotMark
from swarmtui.raft.options import InvalidOptions, RaftOptions


def append(**changes) -> Append:
    values = {
        "cluster": "c",
        "source": "n2",
        "target": "n1",
        "term": 2,
        "session": 1,
        "previous_index": 1,
        "previous_term": 1,
        "commit": 1,
    }
    return Append(**(values | changes))


def noop(index: int, term: int) -> Entry:
    return Entry(index, term, EntryKind.NOOP)


def said(trio, id: str) -> list[str]:
    return [str(effect) for effect in trio.effects[id] if isinstance(effect, Narrate)]


# ---- messages of a peer ----


def test_second_leader_of_a_term_stops_the_node(trio):
    trio.elect()
    leader = trio.cores[trio.leader]
    other = next(id for id in trio.cores if id != trio.leader)
    with pytest.raises(InvariantViolation, match="one leader in a term"):
        leader.feed(Received(append(source=other, target=leader.node_id, term=leader.term)), trio.now)


@pytest.mark.parametrize(
    "entries",
    [(noop(3, 2),), (noop(2, 2), noop(4, 2)), (noop(2, 9),), (noop(2, 0),)],
    ids=["gap before", "gap within", "term of the future", "term falls"],
)
def test_entries_that_do_not_follow_one_another_are_dropped(trio, entries):
    trio.feed("n1", Received(append(entries=entries)))
    assert trio.cores["n1"].log.last == 1
    assert any("entries do not follow one another" in line for line in said(trio, "n1"))


def test_acknowledgement_beyond_the_log_is_dropped(trio):
    leader = trio.cores[trio.elect()]
    trio.run(0.2)
    peer, progress = next(iter(leader.progress.items()))
    lie = AppendReply(
        cluster="c",
        source=peer,
        target=leader.node_id,
        term=leader.term,
        session=progress.session,
        accepted=True,
        match=50,
        previous_index=50,
    )
    trio.feed(leader.node_id, Received(lie))
    assert progress.match == 2
    assert any("acknowledges 50, our log ends at 2" in line for line in said(trio, leader.node_id))


# ---- what is asked of a leader ----


def test_leader_refuses_what_it_cannot_hold(make_cluster):
    """Also when it is not the quorum but the own state machine that lags."""
    cluster = make_cluster(3, options=RaftOptions(uncommitted_bytes_max=1000))
    leader = cluster.cores[cluster.elect()]
    cluster.run(0.2)
    leader.feed(Proposed(1, leader.term, (bytes(2000),)), cluster.now)
    leader.feed(Proposed(2, leader.term, (b"x",)), cluster.now)
    leader.feed(Proposed(3, leader.term, ()), cluster.now)
    cluster.settle()
    leader.feed(Proposed(4, leader.term, (bytes(ENTRY_BYTES_MAX + 1),)), cluster.now)
    leader.feed(Proposed(5, leader.term, ()), cluster.now)
    cluster.settle()
    refused = {e.ticket: e.rule for e in cluster.effects[leader.node_id] if isinstance(e, Refused)}
    assert refused == {2: "overload", 3: "overload", 4: "malformed", 5: "malformed"}
    assert leader.log.commit == 3


def test_reads_that_wait_are_bounded(make_cluster):
    cluster = make_cluster(3, options=RaftOptions(reads_waiting_max=2))
    leader = cluster.elect()
    cluster.run(0.2)
    follower = next(id for id in cluster.cores if id != leader)
    for id in (leader, follower):
        core = cluster.cores[id]
        for ticket in range(3):
            core.feed(ReadAsked(ticket), cluster.now)
        assert [str(e.reason) for e in core.drain() if isinstance(e, ReadRefused)] == ["2 reads wait already"]


def test_reads_that_wait_to_be_applied_are_bounded(make_cluster):
    """The state machine hangs, the leader answers, and clients ask again and again."""
    cluster = make_cluster(3, options=RaftOptions(reads_waiting_max=2))
    leader = cluster.elect()
    cluster.run(0.2)
    follower = next(id for id in cluster.cores if id != leader)
    carry_out = cluster.carry_out
    cluster.carry_out = lambda id, effect: None if isinstance(effect, Apply) else carry_out(id, effect)
    cluster.feed(leader, Proposed(1, cluster.cores[leader].term, (b"x",)))
    cluster.run(0.3)
    for id in (leader, follower):
        for ticket in range(5):
            cluster.feed(id, ReadAsked(ticket))
        refused = [(e.ticket, e.reason) for e in cluster.effects[id] if isinstance(e, ReadRefused)]
        assert refused == [(ticket, "2 reads wait already") for ticket in (2, 3, 4)]


def test_read_that_the_leader_does_not_answer_is_refused(trio):
    leader = trio.elect()
    trio.run(0.2)
    follower = next(id for id in trio.cores if id != leader)
    trio.cut.add((follower, leader))
    trio.feed(follower, ReadAsked(7))
    trio.run(1.1)
    refused = [e for e in trio.effects[follower] if isinstance(e, ReadRefused)]
    assert [(e.ticket, e.reason) for e in refused] == [(7, f"leader {leader} did not answer in time")]


def test_report_of_a_write_that_was_never_issued_stops_the_node(trio):
    with pytest.raises(InvariantViolation, match="only issued writes complete"):
        trio.cores["n1"].feed(Written(5), 0.0)
    with pytest.raises(InvariantViolation, match="applied <= handed"):
        trio.cores["n1"].feed(Applied(5), 0.0)


def test_options_that_contradict_each_other_are_refused():
    with pytest.raises(InvalidOptions, match=r"election_timeout 0\.15 s must be at least twice heartbeat 0\.1 s"):
        RaftOptions(election_timeout_s=0.15)


# ---- what a peer is sent at once ----


def test_who_comes_back_is_not_sent_more_at_once_than_a_turn_of_the_leader_can_take(make_cluster):
    """8 MiB filled the first window of whoever had caught up by snapshot, in one turn of the leader's event loop: to copy them
    into new memory stopped all writes for 50 ms."""
    cluster = make_cluster(3)
    leader = cluster.cores[cluster.elect()]
    away = next(id for id in cluster.cores if id != leader.node_id)
    cluster.isolate(away)
    cluster.run(0.2)
    write(cluster, 30, 1_000_000)
    under_way: list[int] = []
    carry_out = cluster.carry_out

    def carry_out_and_look(id, effect):
        if isinstance(effect, Send) and effect.message.target == away:
            under_way.append(leader.progress[away].in_flight_bytes)
        carry_out(id, effect)

    cluster.carry_out = carry_out_and_look
    cluster.cut.clear()
    cluster.run(1.0)
    assert cluster.cores[away].log.commit == leader.log.commit >= 30
    assert 2_000_000 < max(under_way) < 3_300_000


# ---- compaction ----


def write(cluster, count: int, size: int = 10) -> None:
    leader = cluster.cores[cluster.leader]
    for ticket in range(count):
        cluster.feed(leader.node_id, Proposed(ticket, leader.term, (bytes(size),)))


def snapshot(cluster, id: str) -> SnapshotMark:
    core = cluster.cores[id]
    mark = SnapshotMark(core.applied, core.term_at(core.applied), core.configuration_at(core.applied), 10, "")
    cluster.feed(id, SnapshotTaken(mark))
    return mark


@pytest.mark.parametrize(
    ("options", "down", "base"),
    [
        ({"keep_entries": 0}, False, 22),
        ({"keep_entries": 5}, False, 17),
        ({"keep_entries": 0}, True, 2),
        ({"keep_entries": 0, "keep_bytes_max": 100}, True, 19),
    ],
    ids=["nothing", "some entries", "what a peer in contact needs", "no more than the limit"],
)
def test_compaction_keeps(make_cluster, options, down, base):
    cluster = make_cluster(3, options=RaftOptions(**options))
    leader = cluster.elect()
    cluster.run(0.2)
    if down:  # it just went silent: still counted as in contact
        cluster.down.add(next(id for id in cluster.cores if id != leader))
    write(cluster, 20)
    log = cluster.cores[leader].log
    before, first = log.between(log.first, log.last), log.first
    snapshot(cluster, leader)
    assert log.base == base
    (compact,) = [effect for effect in cluster.effects[leader] if isinstance(effect, Compact)]
    assert compact.index == (base if base > 2 else 2)
    dropped = before[: log.first - first]
    assert compact.forgotten[: len(dropped)] == dropped, "to end many is left to whoever has the time"
    assert bool(compact.forgotten) == bool(dropped)


def test_every_snapshot_lets_the_disk_discard_what_is_older(make_cluster):
    """As long as every entry was kept, each snapshot that was asked for stayed beside the others, however large."""
    cluster = make_cluster(3, options=RaftOptions(keep_entries=500))
    leader = cluster.elect()
    for _ in range(3):
        write(cluster, 1)
        snapshot(cluster, leader)
    assert cluster.cores[leader].log.base == 0
    assert [e.index for e in cluster.effects[leader] if isinstance(e, Compact)] == [0, 0, 0]


# ---- snapshots ----


def chunk(mark: SnapshotMark, data: bytes, **changes) -> SnapshotChunk:
    import zlib

    values = {
        "cluster": "c",
        "source": "n2",
        "target": "n1",
        "term": 2,
        "session": 1,
        "mark": mark,
        "offset": 0,
        "data": data,
        "chunk_checksum": zlib.crc32(data),
    }
    return SnapshotChunk(**(values | changes))


def install(trio, mark: SnapshotMark) -> InstallSnapshot:
    """Let n1 receive and install this snapshot in one piece; what was to be installed."""
    core = trio.cores["n1"]
    core.feed(Received(chunk(mark, bytes(mark.size_bytes))), trio.now)
    assert any(isinstance(e, WriteChunk) for e in core.drain())
    core.feed(ChunkWritten(mark, mark.size_bytes, ChunkOutcome.COMPLETE), trio.now)
    effect = next(e for e in core.drain() if isinstance(e, InstallSnapshot))
    core.feed(SnapshotInstalled(mark), trio.now)
    return effect


def mark_of(index: int, term: int, voters: int = 3) -> SnapshotMark:
    members = Configuration(tuple(Member(f"n{i}", f"n{i}", f"a{i}") for i in range(1, voters + 1)))
    return SnapshotMark(index, term, members, 10, "")


def with_log(trio, *terms: int) -> None:
    entries = tuple(noop(i, term) for i, term in enumerate(terms, start=2))
    trio.cores["n1"].feed(Received(append(term=max(terms), entries=entries)), trio.now)
    for effect in trio.cores["n1"].drain():
        trio.carry_out("n1", effect)
    trio.cores["n1"].drain()


def test_S35_snapshot_brings_its_members(trio):
    """openraft#1808 kept the old ones."""
    install(trio, mark_of(9, 2, voters=5))
    assert len(trio.cores["n1"].members.voters) == 5


def test_appends_wait_while_a_snapshot_is_installed(trio):
    core = trio.cores["n1"]
    mark = mark_of(5, 2)
    core.feed(Received(chunk(mark, bytes(10))), trio.now)
    core.drain()
    core.feed(ChunkWritten(mark, 10, ChunkOutcome.COMPLETE), trio.now)
    core.feed(Received(append(entries=(noop(2, 2),))), trio.now)
    core.drain()
    assert core.log.last == 1
    core.feed(SnapshotInstalled(mark), trio.now)
    assert (core.log.base, core.log.last, core.applied) == (5, 5, 5)


def test_who_installs_a_snapshot_still_answers_its_leader(trio):
    """It may take seconds, and the leader may have nobody else to be a quorum with."""
    core = trio.cores["n1"]
    with_log(trio, 2, 2)  # 2 and 3, verified and durable
    mark = mark_of(5, 2)
    core.feed(Received(chunk(mark, bytes(10))), trio.now)
    core.drain()
    core.feed(ChunkWritten(mark, 10, ChunkOutcome.COMPLETE), trio.now)
    core.drain()
    for number, entries in ((7, ()), (8, (noop(4, 2),))):
        core.feed(Received(append(previous_index=3, previous_term=2, round=number, entries=entries)), trio.now)
        (answer,) = [e.message for e in core.drain() if isinstance(e, Send)]
        assert (answer.accepted, answer.match, answer.previous_index, answer.round) == (True, 3, 3, number)
        assert core.log.last == 3
    core.feed(SnapshotInstalled(mark), trio.now)
    assert (core.log.base, core.log.last, core.applied) == (5, 5, 5)


def test_the_answer_to_a_read_commits_nothing_while_a_snapshot_is_installed(trio):
    """The snapshot that takes the log's place ends before what the answer calls committed: found by simulated seed 2000136."""
    core = trio.cores["n1"]
    with_log(trio, 2, 2, 2)  # 2, 3 and 4, verified
    core.feed(ReadAsked(7), trio.now)
    question = next(e.message for e in core.drain() if isinstance(e, Send) and isinstance(e.message, ReadRequest))
    mark = mark_of(3, 2)
    core.feed(Received(chunk(mark, bytes(10))), trio.now)
    core.drain()
    core.feed(ChunkWritten(mark, 10, ChunkOutcome.COMPLETE), trio.now)
    core.drain()
    answer = ReadReply(cluster="c", source="n2", target="n1", term=2, ticket=question.ticket, index=4)
    core.feed(Received(answer), trio.now)
    core.drain()
    core.feed(SnapshotInstalled(mark), trio.now)
    core.drain()
    assert (core.log.base, core.log.commit, core.log.last) == (3, 3, 4)
    core.feed(Received(append(previous_index=4, previous_term=2, commit=4)), trio.now)
    handed = next(e for e in core.drain() if isinstance(e, Apply))
    core.feed(Applied(handed.entries[-1].index), trio.now)
    assert [e.ticket for e in core.drain() if isinstance(e, ReadReady)] == [7]
