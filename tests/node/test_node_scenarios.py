"""Scenarios of docs/raft.md that need a node's waiting rooms around the core: what those who wait are told."""

import random

import trio

from swarmtui.node.consensus import Consensus, Wiring
from swarmtui.node.events import Events
from swarmtui.objects.operations import Put, Transaction
from swarmtui.raft.configuration import Configuration, Member, encode_configuration
from swarmtui.raft.core import RaftCore
from swarmtui.raft.effects import HardState, Role, RoleChanged, Write
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import CampaignAsked, Received, Written
from swarmtui.raft.log import Restored
from swarmtui.raft.messages import Append, AppendReply, VoteReply, VoteRequest
from swarmtui.raft.options import RaftOptions
from swarmtui.store import Store
from swarmtui.wire.calls import Fate

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


async def test_S12_writes_of_a_leader_that_lost_its_majority_are_unknown(nursery, autojump_clock):
    """Given a leader with a write on its way, when it reaches no majority for an election timeout, then it steps down, and
    whoever waits is told at its deadline that the outcome is unknown: never that it failed. What is asked from then on
    was certainly not appended."""
    genesis = Entry(1, 1, EntryKind.CONFIGURATION, encode_configuration(VOTERS))
    core = RaftCore(
        node_id="n1",
        cluster="c",
        options=RaftOptions(),
        restored=Restored(HardState(1, "", 1), None, VOTERS, (genesis,)),
        draw=random.Random(1).random,
        now=trio.current_time(),
    )
    peers = Peers()
    consensus = peers.consensus = Consensus(core, Store(), Events("n1"), election_timeout_s=TIMEOUT_S)
    roles: list[RoleChanged] = []
    led, left = trio.Event(), trio.Event()

    def role_changed(effect: RoleChanged) -> None:
        roles.append(effect)
        if effect.role is Role.LEADER:
            led.set()
        elif led.is_set():
            left.set()

    def disk(effect) -> None:
        if isinstance(effect, Write):
            consensus.feed(Written(effect.sequence))

    wiring = Wiring(peers.hear, disk, role_changed, applied=lambda index: None, moved=lambda: None)
    nursery.start_soon(consensus.run, wiring)
    consensus.feed(CampaignAsked())
    await led.wait()
    term = consensus.status().term
    (done,) = await consensus.proposals.submit([put("a")], term, 5.0)
    assert done.fate is Fate.DONE
    peers.silent, roles_led = True, len(roles)
    began = trio.current_time()
    (outcome,) = await consensus.proposals.submit([put("b")], term, 2 * TIMEOUT_S)
    assert left.is_set()
    assert "lost contact to a quorum: 1 of 3 voters heard within 500 ms, 2 needed" in str(roles[roles_led].cause)
    assert trio.current_time() - began == 2 * TIMEOUT_S
    assert outcome.fate is Fate.UNKNOWN
    (refused,) = await consensus.proposals.submit([put("c")], term, 5.0)
    assert (refused.fate, refused.rule) == (Fate.REFUSED, "not-leader")
