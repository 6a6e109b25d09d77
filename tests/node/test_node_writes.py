"""A write on whichever manager: forwarded once, retried only if it certainly did not leave, refused with the arithmetic."""

from types import SimpleNamespace

import pytest
import trio

from swarmtui.node.node import Node
from swarmtui.node.writes import LOST_LEADER_S, Lost, NotSent, Writes
from swarmtui.objects.operations import Put, Result, Transaction, Verdict
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.wire.node_calls import Fate, Outcome, Propose, Proposed
from swarmtui.wire.rpc import CallRefused

FIVE = Configuration(tuple(Member(f"id{number}", f"n{number}", f"127.0.0.1:{number}") for number in range(1, 6)))
DONE = Outcome(Fate.DONE, Result(Verdict.DONE, 7))
CALL = Propose.of(Transaction((Put("k", b"v"),)), timeout_s=30.0)


class FakeConsensus:
    """A manager's consensus, as far as writes look at it."""

    def __init__(self, leader: str = "id1") -> None:
        self.leader = leader
        self.outcomes: list[Outcome] = [DONE]
        self.proposals = SimpleNamespace(submit_encoded=self._submit)
        self.submitted = 0
        self._change = trio.Event()

    @property
    def reign(self):
        return self.leader, 3

    async def reign_changed(self):
        await self._change.wait()
        self._change = trio.Event()

    def elect(self, leader: str) -> None:
        self.leader = leader
        self._change.set()

    def status(self):
        return SimpleNamespace(configuration=FIVE)

    async def _submit(self, encoded, term, timeout_s):
        self.submitted += 1
        return tuple(self.outcomes)


class Peer:
    """Where forwarded writes go; each answer is an Outcome or an exception."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, Propose]] = []

    async def __call__(self, node_id: str, call: Propose, timeout_s: float) -> Proposed:
        self.calls.append((node_id, call))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Proposed((answer,))


def writes(consensus: FakeConsensus, peer: Peer, reachable=("id2", "id3", "id4")) -> Writes:
    return Writes("id2", consensus, peer, lambda: reachable, 0.5)


async def test_a_leader_judges_here(autojump_clock):
    consensus, peer = FakeConsensus("id2"), Peer()
    assert (await writes(consensus, peer).propose(CALL)).outcomes == (DONE,)
    assert peer.calls == []


async def test_a_follower_forwards_once(autojump_clock):
    peer = Peer(DONE)
    assert (await writes(FakeConsensus(), peer).propose(CALL)).outcomes == (DONE,)
    ((node_id, call),) = peer.calls
    assert node_id == "id1"
    assert call.forwarded


async def test_what_was_forwarded_is_not_forwarded_again(autojump_clock):
    peer = Peer()
    (outcome,) = (await writes(FakeConsensus(), peer).propose(Propose(CALL.bundle, 30.0, forwarded=True))).outcomes
    assert outcome.fate is Fate.REFUSED
    assert peer.calls == []


async def test_what_certainly_did_not_leave_is_tried_again(autojump_clock):
    peer = Peer(NotSent("no connection"), Outcome(Fate.REFUSED, rule="not-leader", reason="n1 does not lead"), DONE)
    assert (await writes(FakeConsensus(), peer).propose(CALL)).outcomes == (DONE,)
    assert len(peer.calls) == 3


async def test_what_left_and_was_not_answered_is_unknown_and_never_sent_again(autojump_clock):
    peer = Peer(Lost("the connection broke"), DONE)
    (outcome,) = (await writes(FakeConsensus(), peer).propose(CALL)).outcomes
    assert outcome.fate is Fate.UNKNOWN
    assert len(peer.calls) == 1


@pytest.mark.parametrize(("rule", "meaning"), [("internal", Lost), ("too-large", Lost), ("overload", NotSent)])
async def test_what_failed_at_the_leader_may_have_been_done(rule, meaning):
    class Leader:
        async def call(self, call: Propose, timeout_s: float) -> Proposed:
            raise CallRefused(rule, "why")

    node = SimpleNamespace(_callers={"id1": Leader()})
    with pytest.raises(meaning, match="why"):
        await Node._forward(node, "id1", CALL, 1.0)


async def test_a_conflict_is_an_answer_and_no_reason_to_try_again(autojump_clock):
    refused = Outcome(Fate.REFUSED, Result(Verdict.CONFLICT, 9, "update out of sequence", 1, 2), rule="conflict")
    peer = Peer(refused, DONE)
    assert (await writes(FakeConsensus(), peer).propose(CALL)).outcomes == (refused,)


async def test_without_a_quorum_it_is_refused_within_two_election_timeouts_with_the_count(autojump_clock):
    began = trio.current_time()
    (outcome,) = (await writes(FakeConsensus(leader=""), Peer(), reachable=("id2", "id3")).propose(CALL)).outcomes
    assert trio.current_time() - began <= 2 * 0.5 + 0.1
    assert (outcome.rule, outcome.reachable, outcome.needed, outcome.voters) == ("no-quorum", 2, 3, 5)
    assert "2 of 5 managers answer, 3 are needed" in outcome.reason


async def test_with_a_quorum_but_no_leader_yet_it_says_so(autojump_clock):
    (outcome,) = (await writes(FakeConsensus(leader=""), Peer()).propose(CALL)).outcomes
    assert outcome.rule == "no-leader"


async def test_a_new_leader_meanwhile_is_asked(autojump_clock):
    consensus, peer = FakeConsensus(leader=""), Peer(DONE)
    results = []

    async def propose() -> None:
        results.append(await writes(consensus, peer).propose(CALL))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(propose)
        await trio.sleep(0.3)
        began = trio.current_time()
        consensus.elect("id4")
    assert trio.current_time() == began  # at once: nobody looks every few milliseconds
    assert results[0].outcomes == (DONE,)
    assert peer.calls[0][0] == "id4"


async def test_nothing_is_forwarded_to_a_leader_that_the_client_has_seen_die(autojump_clock):
    """It would be neither done nor refused: this manager only has not noticed yet."""
    consensus, peer = FakeConsensus(leader="id1"), Peer(DONE)
    results = []

    async def propose() -> None:
        results.append(await writes(consensus, peer).propose(Propose(CALL.bundle, 30.0, lost="id1")))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(propose)
        await trio.sleep(0.01)
        consensus.elect("")
        await trio.sleep(0.01)
        consensus.elect("id4")
    assert [node_id for node_id, _ in peer.calls] == ["id4"]
    assert results[0].outcomes == (DONE,)


async def test_a_client_that_is_wrong_about_the_leaders_death_waits_no_longer_than_a_moment(autojump_clock):
    began, peer = trio.current_time(), Peer(DONE)
    call = Propose(CALL.bundle, 30.0, lost="id1")
    assert (await writes(FakeConsensus(leader="id1"), peer).propose(call)).outcomes == (DONE,)
    assert 0 < trio.current_time() - began <= LOST_LEADER_S
