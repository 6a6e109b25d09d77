"""What becomes of writes in whose place other entries stand: one of five voters whose peers are played by the test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from swarmtui.node.consensus import Consensus
from swarmtui.node.wiring import Wiring
from swarmtui.objects.codec import encode
from swarmtui.objects.operations import Put, Transaction
from swarmtui.objects.records import KeyValue
from swarmtui.objects.transactions import Bundle
from swarmtui.raft.configuration import Configuration, Member, encode_configuration
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import CampaignAsked, Input, Received, Written
from swarmtui.raft.messages import Append, TimeoutNow, VoteReply
from swarmtui.wire.node_calls import Fate
from tests.node.conftest import newborn

FIVE = Configuration(voters=tuple(Member(id, f"n-{id}", f"127.0.0.1:{at}") for at, id in enumerate("abcde", 1)))

Heard = Callable[..., Awaitable[None]]


def put(key: str, value: bytes) -> bytes:
    return encode(Transaction((Put(key, value, None),)))


def vote(source: str, term: int, *, pre: bool = False) -> Received:
    return Received(VoteReply(cluster="c", source=source, target="a", term=term, granted=True, pre=pre))


def entries_of(source: str, term: int, entries: tuple[Entry, ...], commit: int) -> Received:
    """The leader of this term fills the log from its second entry on."""
    message = Append(
        cluster="c", source=source, target="a", term=term, session=1, previous_index=1, previous_term=1,
        commit=commit, entries=entries,
    )  # fmt: skip
    return Received(message)


@pytest.fixture
def consensus(nursery) -> Consensus:
    consensus = newborn(FIVE)
    wiring = Wiring(
        send=lambda message: None,
        disk=lambda effect: consensus.feed(Written(effect.sequence)),
        role_changed=lambda effect: None,
        applied=lambda index: None,
        moved=lambda: None,
    )
    nursery.start_soon(consensus.run, wiring)
    return consensus


@pytest.fixture
def heard(consensus: Consensus) -> Heard:
    async def heard(*events: Input) -> None:
        for event in events:
            consensus.hear(event)
            await trio.testing.wait_all_tasks_blocked()

    return heard


async def lead(heard: Heard) -> None:
    """a leads term 2; its first entry has index 2."""
    await heard(CampaignAsked(), vote("b", 2, pre=True), vote("c", 2, pre=True), vote("b", 2), vote("c", 2))


@pytest.mark.parametrize(
    "instead",
    [Entry(3, 3, EntryKind.NOOP), Entry(3, 3, EntryKind.CONFIGURATION, encode_configuration(FIVE))],
    ids=["the first entry of a leader", "a change of members"],
)
async def test_a_write_in_whose_place_no_transactions_stand_is_refused_at_once(consensus, heard, instead):
    """The entry with which a new leader begins is what stands there most often."""
    await lead(heard)
    outcomes: list = []
    consensus.proposals.begin(Bundle.of([put("k", b"1"), put("k", b"2")]), 2, 60.0, outcomes.extend)
    await trio.testing.wait_all_tasks_blocked()
    assert consensus.core.log.last == 4
    await heard(entries_of("b", 3, (Entry(2, 2, EntryKind.NOOP), instead), commit=2))
    assert outcomes == []  # who knows
    await heard(entries_of("b", 3, (Entry(2, 2, EntryKind.NOOP), instead, Entry(4, 3, EntryKind.NOOP)), commit=4))
    assert [(one.fate, one.rule) for one in outcomes] == [(Fate.REFUSED, "overwritten")] * 2
    assert consensus.proposals.count == 0


async def test_a_write_in_whose_place_this_node_appended_again_is_not_refused_while_another_may_have_it(
    consensus, heard
):
    """a leads and gives two writes to c alone; b leads d and e, and overwrites them at a; a leads again and appends in
    their place, which c, d and e never hear of; c is elected by d and e, and commits them after all."""
    core, outcomes = consensus.core, {}

    def told(name: str):
        return lambda found: outcomes.__setitem__(name, found)

    await lead(heard)
    consensus.proposals.begin(Bundle.of([put("k", b"1"), put("k", b"2")]), 2, 60.0, told("first"))
    await trio.testing.wait_all_tasks_blocked()
    held_by_c = tuple(core.entries(2, 4))
    assert [entry.term for entry in held_by_c] == [2, 2, 2]
    await heard(entries_of("b", 3, (Entry(2, 3, EntryKind.NOOP),), commit=1))
    await heard(Received(TimeoutNow(cluster="c", source="b", target="a", term=3)), vote("b", 4), vote("d", 4))
    consensus.proposals.begin(Bundle.of([put("other", b"v")]), 4, 60.0, told("second"))
    await trio.testing.wait_all_tasks_blocked()
    assert [entry.term for entry in core.entries(2, 4)] == [3, 4, 4]
    assert outcomes == {}  # who knows
    await heard(entries_of("c", 5, (*held_by_c, Entry(5, 5, EntryKind.NOOP)), commit=5))
    assert [one.fate for one in outcomes["first"]] == [Fate.DONE, Fate.DONE]
    assert consensus.store.get(KeyValue, "k").value == b"2"
    assert [(one.fate, one.rule) for one in outcomes["second"]] == [(Fate.REFUSED, "overwritten")]
    assert consensus.proposals.count == 0
