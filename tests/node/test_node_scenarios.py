"""Scenarios of docs/raft.md that need a node's waiting rooms around the core: what those who wait are told."""

import attrs
import trio
import trio.testing

from swarmtui.node.consensus import Consensus
from swarmtui.node.events import Events
from swarmtui.node.refusals import SAME_REASON_S, ConsensusRefusals
from swarmtui.node.wiring import Wiring
from swarmtui.objects.operations import Create, Put, Transaction
from swarmtui.objects.records import Node
from swarmtui.objects.specs import NodeSpec
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.effects import Role, RoleChanged, Write
from swarmtui.raft.inputs import CampaignAsked, Received, Written
from swarmtui.raft.messages import Append, AppendReply, VoteReply, VoteRequest
from swarmtui.raft.options import RaftOptions
from swarmtui.raft.reasons import Why
from swarmtui.wire.node_calls import Fate
from tests.node.conftest import newborn

VOTERS = Configuration(tuple(Member(f"n{i}", f"n{i}", f"127.0.0.1:{i}") for i in (1, 2, 3)))
TIMEOUT_S = RaftOptions().election_timeout_s


class Peers:
    """n2 and n3 as n1 sees them: they grant every vote and take every entry, until they fall silent."""

    def __init__(self) -> None:
        self.silent = False
        self.consensus: Consensus | None = None

    def hear(self, message) -> None:
        if self.silent or self.consensus is None:
            return
        common = {"cluster": "c", "source": message.target, "target": "n1", "term": message.term}
        if isinstance(message, VoteRequest):
            self.consensus.feed(Received(VoteReply(**common, granted=True, pre=message.pre)))
        elif isinstance(message, Append):
            last = message.previous_index + len(message.entries)
            reply = AppendReply(**common, session=message.session, accepted=True, match=last, previous_index=last)
            self.consensus.feed(Received(reply))


def put(key: str) -> Transaction:
    return Transaction((Put(key, b"v"),))


@attrs.define
class Life:
    """What n1 said of its roles."""

    roles: list[RoleChanged]
    led: trio.Event
    left: trio.Event

    def role_changed(self, effect: RoleChanged) -> None:
        self.roles.append(effect)
        if effect.role is Role.LEADER:
            self.led.set()
        elif self.led.is_set():
            self.left.set()


async def led(nursery, life: Life | None = None) -> tuple[Peers, Consensus]:
    """n1 of three leads, its disk is prompt, its peers agree to everything."""
    life = life or Life([], trio.Event(), trio.Event())
    peers = Peers()
    consensus = peers.consensus = newborn(VOTERS, "n1", TIMEOUT_S)

    def disk(effect) -> None:
        if isinstance(effect, Write):
            consensus.feed(Written(effect.sequence))

    wiring = Wiring(peers.hear, disk, life.role_changed, applied=lambda index: None, moved=lambda: None)
    nursery.start_soon(consensus.run, wiring)
    consensus.feed(CampaignAsked())
    await life.led.wait()
    return peers, consensus


async def test_S12_writes_of_a_leader_that_lost_its_majority_are_unknown(nursery, autojump_clock):
    """Given a leader with a write on its way, when it reaches no majority for an election timeout, then it steps down, and
    whoever waits is told at its deadline that the outcome is unknown: never that it failed. What is asked from then on
    was certainly not appended."""
    life = Life([], trio.Event(), trio.Event())
    peers, consensus = await led(nursery, life)
    term = consensus.status().term
    (done,) = await consensus.proposals.submit([put("a")], term, 5.0)
    assert done.fate is Fate.DONE
    peers.silent, before = True, len(life.roles)
    began = trio.current_time()
    (outcome,) = await consensus.proposals.submit([put("b")], term, 2 * TIMEOUT_S)
    assert life.left.is_set()
    assert "lost contact to a quorum: 1 of 3 voters heard within 500 ms, 2 needed" in life.roles[before].cause
    assert trio.current_time() - began == 2 * TIMEOUT_S
    assert outcome.fate is Fate.UNKNOWN
    (refused,) = await consensus.proposals.submit([put("c")], term, 5.0)
    assert (refused.fate, refused.rule) == (Fate.REFUSED, "not-leader")


async def test_refusals_and_step_downs_are_events_with_rule_and_operands(nursery, autojump_clock):
    """What an observer of S12 sees: the rule and its figures as data, once for many of the same reason."""
    peers, consensus = await led(nursery)
    term = consensus.status().term
    for _ in range(3):
        await consensus.proposals.submit([put("a")], term + 5, 5.0)
    peers.silent = True
    await trio.sleep(2 * TIMEOUT_S)
    await consensus.proposals.submit([put("a")], term, 5.0)
    await trio.sleep(SAME_REASON_S)
    await consensus.proposals.submit([put("a")], term, 5.0)
    refused = [event for event in consensus._events.after(0) if event.kind == "refused"]
    node = {"node": "n1"}
    assert [(event.text, event.data["rule"], event.data["operands"]) for event in refused] == [
        ("write refused: asked for term 7, this node leads term 2", "wrong-term", {"asked": 7, "mine": 2}),
        ("write refused: n1 does not lead, no leader is known", "not-leader", node),
        ("write refused: n1 does not lead, no leader is known", "not-leader", node),
    ]
    assert [event.data["untold"] for event in refused] == [0, 0, 0]
    votes = {event.text for event in consensus._events.after(0) if event.text.startswith("pre-vote asked again")}
    assert all(vote.startswith("pre-vote asked again: timer ran out (") for vote in votes)
    assert votes


async def test_of_one_reason_there_is_one_event_in_a_while(autojump_clock):
    events = Events("n1")
    refusals = ConsensusRefusals(events)
    for _ in range(1000):
        refusals.tell("read", Why("no-leader"), 3)
    refusals.tell("write", Why("no-leader"), 3)
    await trio.sleep(SAME_REASON_S)
    refusals.tell("read", Why("no-leader"), 3)
    assert [event.text for event in events.after(0)] == [
        "read refused: no leader is known",
        "write refused: no leader is known",
        "read refused: no leader is known (999 times since it was told last)",
    ]


async def test_a_refused_transfer_names_a_worker_as_people_do(nursery, autojump_clock):
    """The core knows its members alone, and the event said the id of 25 letters."""
    _, consensus = await led(nursery)
    worker = Node(id="w" * 25, spec=NodeSpec("n4"))
    created = Transaction((Create(worker),))
    (outcome,) = await consensus.proposals.submit([created], consensus.status().term, 5.0)
    assert outcome.fate is Fate.DONE
    told: list[str] = []
    consensus.transfer(worker.id, told.append)
    await trio.testing.wait_all_tasks_blocked()
    (event,) = [event for event in consensus._events.after(0) if event.kind == "refused"]
    assert event.text == "transfer refused: n4 is no voter in contact to hand over to"
    assert (event.data["rule"], event.data["operands"]) == ("transfer", {"heir": "n4"})
    assert told == ["n4 is no voter in contact to hand over to"]


async def test_a_dropped_message_names_its_sender_as_people_do(nursery, autojump_clock):
    _, consensus = await led(nursery)
    worker = Node(id="w" * 25, spec=NodeSpec("n4"))
    await consensus.proposals.submit([Transaction((Create(worker),))], consensus.status().term, 5.0)
    stray = VoteReply(cluster="another", source=worker.id, target="n1", term=1, granted=True)
    consensus.feed(Received(stray))
    await trio.testing.wait_all_tasks_blocked()
    (event,) = [event for event in consensus._events.after(0) if event.kind == "refused"]
    assert event.text == "VoteReply of n4 refused: of cluster another"
