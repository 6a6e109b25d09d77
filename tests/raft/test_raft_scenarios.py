"""Scenarios of the core that read better as a program than as a golden script; docs/raft.md has the table of all sixty.

Each is named for its number and opens with given, when, then.
"""

from __future__ import annotations

import random
import zlib

import attrs
import pytest

from swarmtui.raft.configuration import Configuration, Member, encode_configuration
from swarmtui.raft.effects import HardState, InstallSnapshot, Narrate, Send, Write, WriteChunk
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import (
    CampaignAsked,
    ChunkOutcome,
    ChunkWritten,
    Proposed,
    Reachable,
    Received,
    SnapshotInstalled,
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
    VoteReply,
    VoteRequest,
)
from tests.raft.script import Script

HOP_S = 0.04  # what a message takes on its way in the crowded network of S02
ROUNDS_MAX = 6


def noop(index: int, term: int) -> Entry:
    return Entry(index, term, EntryKind.NOOP)


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


def sent(effects, kind) -> list:
    return [effect.message for effect in effects if isinstance(effect, Send) and isinstance(effect.message, kind)]


# ---- elections ----


@pytest.mark.parametrize("seed", range(30))
def test_S02_split_votes_end_within_a_few_rounds(seed):
    """Given two voters of three whose timers are equal, and messages that take longer than most differences of timers, when
    they split the votes, then timers drawn anew elect one of them within a bounded number of rounds."""
    rng, script = random.Random(seed), Script()
    script.run("cluster 3 election_timeout_s=0.2")
    for id in ("n1", "n2", "n3"):
        script.run(f"crash {id}")
    for id in ("n1", "n2"):
        script.draws[id].extend([0.0, 0.5, *(rng.random() for _ in range(50))])
        script.run(f"start {id}")
    while not any(script.core(id).role.kind == "leader" for id in script.up):
        script.run(f"pass {HOP_S}")
        script.run("sync")
        for path in list(script.paths):  # one hop each: an answer leaves at the next step
            waiting, script.paths[path] = list(script.paths[path]), type(script.paths[path])()
            for message in waiting:
                script._deliver(message)
        assert script.core("n1").term <= 1 + ROUNDS_MAX


def test_S07_grant_of_a_stranger_counts_for_nothing(make_cluster):
    """Given a candidate of five that has its own vote and one more, when somebody grants it a vote who is no member, or is
    a learner only, then it does not lead."""
    cluster = make_cluster(5)
    core = cluster.cores["n1"]
    learner = Member("n6", "n6", "127.0.0.1:7106")
    with_learner = Configuration(core.members.current.voters, learners=(learner,))
    core.append([Entry(2, 1, EntryKind.CONFIGURATION, encode_configuration(with_learner))])
    cluster.down = set(cluster.cores) - {"n1"}
    cluster.feed("n1", CampaignAsked())
    for voter in ("n2", "n3"):
        cluster.feed("n1", Received(grant(voter, pre=True)))
    assert core.role.kind == "candidate"
    for voter in ("n2", "n6", "n9"):
        cluster.feed("n1", Received(grant(voter)))
    assert core.role.kind == "candidate"
    cluster.feed("n1", Received(grant("n3")))
    assert core.role.kind == "leader"


def grant(voter: str, *, pre: bool = False) -> VoteReply:
    return VoteReply(cluster="c", source=voter, target="n1", term=2, granted=True, pre=pre)


def test_S10_pre_vote_grant_binds_and_resets_nothing(trio):
    """Given a follower with part of its timer gone, when it grants a pre-vote, then it has recorded no vote and no term,
    written nothing, and its timer runs on (hashicorp/raft#609); it may grant another the same."""
    core = trio.cores["n1"]
    core.feed(Tick(), 0.3)
    core.drain()
    before, timer = core.status(0.3), core.role.timer.expires_at
    for asker in ("n2", "n3"):
        ask = VoteRequest(cluster="c", source=asker, target="n1", term=2, last_index=1, last_term=1, pre=True)
        core.feed(Received(ask), 0.3)
        effects = core.drain()
        assert [(reply.target, reply.granted) for reply in sent(effects, VoteReply)] == [(asker, True)]
        assert not [effect for effect in effects if isinstance(effect, Write)]
    assert core.status(0.3) == before
    assert core.role.timer.expires_at == timer


# ---- replication ----


def test_S22_conflict_below_the_commit_index_stops_the_node(trio):
    """Given an entry that is committed here, when an Append claims another term at its index, then the node stops with the
    rule and its operands, and never truncates it in silence."""
    trio.elect()
    trio.run(0.2)
    core = next(core for id, core in trio.cores.items() if id != trio.leader)
    bad = append(source=trio.leader, target=core.node_id, previous_index=2, previous_term=1, term=core.term)
    with pytest.raises(InvariantViolation, match="committed entries agree with the leader's: index=2 here=2 leader=1"):
        core.feed(Received(bad), trio.now)
    with pytest.raises(InvariantViolation, match="committed entries are never truncated: after=1 commit=2"):
        core.truncate(1)


def test_S24_acknowledgement_of_a_former_life_counts_for_nothing(trio):
    """Given a follower that was removed and added again in one term with an empty disk, when an acknowledgement of its former
    life arrives late, then its match does not rise: nothing would be on a majority of disks (raft-rejoin-bug)."""
    leader = trio.cores[trio.elect()]
    trio.run(0.2)
    peer, silent = [id for id in trio.cores if id != leader.node_id]
    trio.down.update({peer, silent})
    trio.feed(leader.node_id, Proposed(1, leader.term, (b"x",)))
    index, former = leader.log.last, leader.progress[peer].session
    for members in ([leader.node_id, silent], list(trio.cores)):
        leader.role.replication.meet(members)  # whoever was removed for ever cannot, but a demoted one comes back
    trio.settle()
    progress = leader.progress[peer]
    assert progress.session != former
    late = AppendReply(
        cluster="c",
        source=peer,
        target=leader.node_id,
        term=leader.term,
        session=former,
        accepted=True,
        match=index,
        previous_index=index,
    )
    trio.feed(leader.node_id, Received(late))
    assert progress.match == 0
    assert leader.log.commit == index - 1
    trio.feed(leader.node_id, Received(attrs.evolve(late, session=progress.session)))
    assert progress.match == index


def test_S26_report_of_an_overwritten_write_makes_nothing_durable(trio):
    """Given an entry (2, t2) on its way to the disk that was overwritten by (2, t3) and then by (2, t2) again, when the
    report of the first write comes, then nothing is durable or acknowledged but what that very write holds: the third
    write may still be lost (etcd's ABA race)."""
    core = trio.cores["n1"]

    def hears(term: int, source: str, *entries: Entry) -> int:
        core.feed(Received(append(term=term, source=source, entries=entries)), 0.0)
        return next(effect.sequence for effect in core.drain() if isinstance(effect, Write))

    first = hears(2, "n2", noop(2, 2))
    hears(3, "n3", noop(2, 3))
    third = hears(4, "n2", noop(2, 2))
    core.feed(Written(first), 0.0)
    assert core.log.durable == 1
    assert not sent(core.drain(), AppendReply)
    core.feed(Written(third), 0.0)
    assert core.log.durable == 2
    assert [reply.match for reply in sent(core.drain(), AppendReply)] == [2]


# ---- snapshots ----


def chunk(mark: SnapshotMark, data: bytes, **changes) -> SnapshotChunk:
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


def mark_of(index: int, term: int) -> SnapshotMark:
    members = Configuration(tuple(Member(f"n{i}", f"n{i}", f"a{i}") for i in (1, 2, 3)))
    return SnapshotMark(index, term, members, 10, "")


def with_log(trio, *terms: int) -> None:
    """n1 has these entries behind genesis, on its disk."""
    entries = tuple(noop(i, term) for i, term in enumerate(terms, start=2))
    trio.cores["n1"].feed(Received(append(term=max(terms), entries=entries)), trio.now)
    for effect in trio.cores["n1"].drain():
        trio.carry_out("n1", effect)
    trio.cores["n1"].drain()


def install(trio, mark: SnapshotMark) -> InstallSnapshot:
    """Let n1 receive and install this snapshot in one piece; what was to be installed."""
    core = trio.cores["n1"]
    core.feed(Received(chunk(mark, bytes(mark.size_bytes))), trio.now)
    assert any(isinstance(e, WriteChunk) for e in core.drain())
    core.feed(ChunkWritten(mark, mark.size_bytes, ChunkOutcome.COMPLETE), trio.now)
    effect = next(e for e in core.drain() if isinstance(e, InstallSnapshot))
    core.feed(SnapshotInstalled(mark), trio.now)
    return effect


def test_S32_snapshot_keeps_what_agrees_behind_it(trio):
    """Given a snapshot whose last (index, term) is an entry here, when it is installed, then the entries behind it stay:
    else their leader would send them for ever (hashicorp/raft#697)."""
    with_log(trio, 2, 2, 2)
    effect = install(trio, mark_of(3, 2))
    assert [entry.index for entry in effect.kept] == [4]
    log = trio.cores["n1"].log
    assert (log.base, log.last, log.commit, log.durable) == (3, 4, 3, 4)


def test_S32_snapshot_discards_a_log_that_conflicts(trio):
    """Given a log whose entry at the snapshot's index is of another term, then nothing of it stays."""
    with_log(trio, 1, 1, 1)
    assert install(trio, mark_of(3, 2)).kept == ()
    log = trio.cores["n1"].log
    assert (log.base, log.last, log.commit, log.durable) == (3, 3, 3, 3)


def test_S33_snapshot_below_the_commit_index_is_acknowledged_unread(trio):
    """Given a snapshot that ends below what is committed here, then no byte of it is stored, and it is acknowledged."""
    with_log(trio, 2, 2)
    core = trio.cores["n1"]
    core.feed(Received(append(commit=3, previous_index=3, previous_term=2)), trio.now)
    core.drain()
    core.feed(Received(chunk(mark_of(2, 2), bytes(10))), trio.now)
    effects = core.drain()
    assert [(reply.index, reply.installed) for reply in sent(effects, SnapshotReply)] == [(2, True)]
    assert not [effect for effect in effects if isinstance(effect, WriteChunk | InstallSnapshot)]


STEPS = ("sync n1", "deliver n1>n3 1", "sync n3", "deliver n3>n1 1")
TRANSFER_STEPS = 20  # of these, until n3 has installed a snapshot of three pieces


def transfer_under_way(steps: int) -> Script:
    """n1 leads, n3 was away and gets a snapshot of three pieces, of which so many steps are done."""
    script = Script()
    for command in (
        "cluster 3 snapshot_chunk_bytes=100 keep_entries=0 keep_bytes_max=0",
        "lead n1",
        "crash n3",
        "propose n1 a b c",
        "live 0.02",
        "snapshot n1",
        "settle",
        "propose n1 d",
        "live 0.02",
        "start n3",
        "reachable n1 n3",
        "deliver n1>n3",
        "deliver n3>n1",
        *(STEPS[step % len(STEPS)] for step in range(steps)),
    ):
        script.run(command)
    return script


def crash(script: Script, seed: int) -> None:
    """Power fails in the middle of what the disk of n3 does at this moment."""
    disk = script.disks["n3"]
    disk.rng = random.Random(seed)
    disk.take_batch()
    script.run("crash n3")
    script.run("start n3")


def newer_snapshot(script: Script, _seed: int) -> None:
    script.run("propose n1 e")
    for command in ("sync n1", "deliver n1>n2", "sync n2", "deliver n2>n1", "snapshot n1", "sync n1"):
        script.run(command)


def new_term(script: Script, _seed: int) -> None:
    for command in ("transfer n1 9 n2", "deliver n1>n2", "sync n2", "deliver n2>n1", "sync n1", "deliver n1>n2"):
        script.run(command)


@pytest.mark.parametrize("disturb", [crash, newer_snapshot, new_term])
@pytest.mark.parametrize("seed", range(2))
def test_S34_disturbed_installation_leaves_no_gap(disturb, seed):
    """Given a snapshot that is being received, when after any step of it the term changes, a newer one is taken, or the
    receiver's power fails, then its log never begins behind what its snapshot holds, also after one more restart, and it
    gets what all have."""
    for steps in range(TRANSFER_STEPS):
        script = transfer_under_way(steps)
        disturb(script, seed)
        no_gap(script)
        for command in STEPS * 2:
            script.run(command)
            no_gap(script)
        script.run("crash n3")
        script.run("start n3")
        no_gap(script)
        script.run("live 1.0")
        assert script.machines["n3"].state() == script.machines["n1"].state()
        assert script.core("n3").applied == script.core("n1").applied >= 6


def no_gap(script: Script) -> None:
    core, disk = script.core("n3"), script.disks["n3"]
    snapshot = core.snapshot.index if core.snapshot is not None else 0
    assert core.log.first <= snapshot + 1
    assert disk.base <= (disk.newest.index if disk.newest is not None else 0)


# ---- who may speak ----


@pytest.mark.parametrize(
    "broken",
    [{"cluster": "another"}, {"target": "n2"}, {"source": "n1"}, {"term": 0}],
    ids=["another cluster", "another addressee", "ourselves", "no term"],
)
def test_S58_stranger_is_dropped_before_its_term(trio, broken):
    """Given a message of another cluster, or for another node, when it comes, then it is dropped, with a word, before its
    term is looked at."""
    message = append(source="n3", term=99)
    trio.feed("n1", Received(attrs.evolve(message, **broken)))
    assert trio.cores["n1"].term == 1
    assert any(isinstance(e, Narrate) and e.what == "dropped" for e in trio.effects["n1"])


def test_S57_voter_that_lost_what_it_acknowledged_is_told_of_and_filled_again(trio):
    """Its disk was put back to an older state, and nothing on the disk says so. The leader that had its acknowledgement
    notices when it refuses to follow it, says so, and sends everything again; it used to ask the same for ever."""
    leader = trio.elect()
    victim = next(id for id in trio.cores if id != leader)
    term = trio.cores[leader].term
    trio.feed(leader, Proposed(1, term, (b"one",)))
    image = trio.cores[victim]
    old = Restored(
        HardState(image.term, image.vote, image.log.commit),
        None,
        image.members.current,
        tuple(image.entries(1, image.log.last)),
    )
    trio.feed(leader, Proposed(2, term, (b"two", b"three")))
    last = trio.cores[leader].log.last
    assert trio.cores[victim].log.durable == last
    trio.down.add(victim)
    sessions = {progress.session for progress in trio.cores[leader].progress.values()}
    trio.feed(leader, Unreachable(victim))
    trio.cores[victim] = trio.make(victim, old)
    trio.down.clear()
    trio.feed(leader, Reachable(victim))
    trio.run(1)
    assert trio.leader == leader
    assert trio.cores[victim].log.durable == last
    assert trio.cores[leader].progress[victim].session not in sessions, "a late answer of before would count"
    (told,) = [effect for effect in trio.told(leader, Narrate) if effect.what == "acknowledged entries are gone"]
    assert (told.operands["of"], told.why.rule) == (victim, "entries-gone")
    assert told.why.operands == {"acknowledged": last, "kept": last - 2}
    trio.feed(leader, Proposed(3, term, (b"four",)))
    assert trio.cores[victim].log.durable == last + 1
