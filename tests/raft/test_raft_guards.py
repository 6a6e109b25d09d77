"""Guards that belong to no scenario: each was missing once in a copy of this code, and nothing else noticed."""

from __future__ import annotations

import zlib

from swarmtui.raft.changes import Remove
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.effects import HardState, Narrate, ReadRefused, Refused, Send, Write
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
    Written,
)
from swarmtui.raft.log import Restored
from swarmtui.raft.messages import Append, SnapshotChunk, SnapshotMark, TimeoutNow, VoteRequest
from swarmtui.raft.options import RaftOptions
from swarmtui.raft.progress import ProgressState

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


def test_nobody_stands_while_a_snapshot_takes_the_place_of_its_log(trio):
    """Elected meanwhile it would append to a log that is about to be another one."""
    core, mark, data = trio.cores["n1"], SnapshotMark(5, 2, THREE, 10, ""), bytes(10)
    piece = SnapshotChunk(
        cluster="c", source="n2", target="n1", term=2, session=1, mark=mark, offset=0, data=data,
        chunk_checksum=zlib.crc32(data),
    )  # fmt: skip
    core.feed(Received(piece), 0.0)
    core.drain()
    core.feed(ChunkWritten(mark, 10, ChunkOutcome.COMPLETE), 0.0)
    core.drain()
    core.feed(Written(core.log.sequence), 0.0)  # the term
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


# ---- what a leader counts ----


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
