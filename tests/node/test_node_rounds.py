"""What a leader proposes while an earlier round is on its way: together, and soon whatever becomes of that round."""

from __future__ import annotations

import trio
import trio.testing

from swarmtui.node.consensus import GATHER_S, Consensus
from swarmtui.node.proposals import ROUND_ENOUGH
from swarmtui.node.wiring import Wiring
from swarmtui.objects.codec import encode
from swarmtui.objects.operations import Put, Transaction
from swarmtui.objects.transactions import Bundle
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.effects import Role, Write
from swarmtui.raft.entries import EntryKind
from swarmtui.raft.inputs import CampaignAsked, Gap, Proposed, Received, Written
from swarmtui.raft.messages import Append, AppendReply, VoteReply, VoteRequest
from swarmtui.wire.node_calls import Fate, Outcome
from tests.node.conftest import newborn

TWO = Configuration(voters=(Member("a", "n1", "127.0.0.1:1"), Member("b", "n2", "127.0.0.1:2")))


class Leader:
    """`a` leads `b`, whose answers to entries come when the test says so. The disk is done at once."""

    def __init__(self) -> None:
        self.consensus: Consensus = newborn(TWO)
        self.asked: list[Append] = []
        self.outcomes: list[Outcome] = []
        self.answers = True

    def send(self, message) -> None:
        if isinstance(message, VoteRequest):
            self._hear(VoteReply, message, granted=True, pre=message.pre)
        elif isinstance(message, Append):
            self.asked.append(message)
            if self.answers:
                self.answer(message)

    def _hear(self, kind, message, **fields) -> None:
        head = {"cluster": "c", "source": "b", "target": "a", "term": message.term}
        self.consensus.feed(Received(kind(**head, **fields)))

    def answer(self, message: Append) -> None:
        last = message.previous_index + len(message.entries)
        self._hear(
            AppendReply,
            message,
            session=message.session,
            accepted=True,
            match=last,
            previous_index=message.previous_index,
            round=message.round,
        )

    async def lead(self, nursery: trio.Nursery) -> Leader:
        """Elected, with its first entry committed; from then on nothing is answered unasked."""

        def disk(effect) -> None:
            if isinstance(effect, Write):
                self.consensus.feed(Written(effect.sequence))

        wiring = Wiring(self.send, disk, lambda effect: None, lambda index: None, lambda: None)
        nursery.start_soon(self.consensus.run, wiring)
        self.consensus.feed(CampaignAsked())
        await trio.testing.wait_all_tasks_blocked()
        core = self.consensus.core
        assert core.role.kind is Role.LEADER
        assert core.log.commit == core.log.last
        self.answers = False
        return self

    async def write(self, *keys: str) -> None:
        transactions = [Transaction((Put(key, b"v", None),)) for key in keys]
        self.outcomes += await self.consensus.proposals.submit(transactions, self.consensus.core.term, 60)

    @property
    def rounds(self) -> list[Append]:
        """The messages that carried transactions."""
        kinds = [{entry.kind for entry in message.entries} for message in self.asked]
        return [message for message, kind in zip(self.asked, kinds, strict=True) if EntryKind.TRANSACTIONS in kind]


async def test_what_is_proposed_while_a_round_is_on_its_way_shares_the_next(nursery, autojump_clock):
    leader = await Leader().lead(nursery)
    async with trio.open_nursery() as writers:
        for keys in (("a", "b", "c"), ("second",), ("third",)):  # one after another, each awake alone
            writers.start_soon(leader.write, *keys)
            await trio.testing.wait_all_tasks_blocked()
        leader.consensus.turn()  # whatever else brings it about
        assert len(leader.rounds) == 1
        leader.answer(leader.rounds[0])
        await trio.testing.wait_all_tasks_blocked()
        assert len(leader.rounds) == 2, "its answer is what the others waited for"
        leader.answer(leader.rounds[1])
    assert [outcome.fate for outcome in leader.outcomes] == [Fate.DONE] * 5
    first, *_, second, third = sorted(outcome.result.index for outcome in leader.outcomes)
    assert (second, third) == (first + 1, first + 1)


async def test_as_much_as_is_on_its_way_follows_at_once(nursery, autojump_clock):
    """So two clients with a write each hold one another up by nothing."""
    leader = await Leader().lead(nursery)
    async with trio.open_nursery() as writers:
        for keys in (("a", "b"), ("c",), ("d",)):
            assert len(leader.rounds) <= 1
            writers.start_soon(leader.write, *keys)
            await trio.testing.wait_all_tasks_blocked()
        assert [len(message.entries) for message in leader.rounds] == [1, 1]
        for message in leader.rounds:
            leader.answer(message)


async def test_some_dozens_follow_at_once_however_many_are_on_their_way(nursery, autojump_clock):
    leader = await Leader().lead(nursery)
    many = [f"key-{number}" for number in range(10 * ROUND_ENOUGH)]
    async with trio.open_nursery() as writers:
        writers.start_soon(leader.write, *many)
        await trio.testing.wait_all_tasks_blocked()
        writers.start_soon(leader.write, *many[: ROUND_ENOUGH - 1])
        await trio.testing.wait_all_tasks_blocked()
        assert len(leader.rounds) == 1
        writers.start_soon(leader.write, "the last of them")
        await trio.testing.wait_all_tasks_blocked()
        assert len(leader.rounds) == 2
        for message in leader.rounds:
            leader.answer(message)


async def test_a_round_that_takes_long_holds_nobody_up(nursery, autojump_clock):
    """As over a slow link, or to a follower that is gone: several are on their way then."""
    leader = await Leader().lead(nursery)
    began = trio.current_time()
    async with trio.open_nursery() as writers:
        writers.start_soon(leader.write, "a", "b")
        await trio.testing.wait_all_tasks_blocked()
        writers.start_soon(leader.write, "second")
        with trio.fail_after(1):
            while len(leader.rounds) < 2:
                await trio.sleep(GATHER_S / 10)
        assert GATHER_S / 2 < trio.current_time() - began < GATHER_S * 1.5
        for message in leader.rounds:
            leader.answer(message)
    assert [outcome.fate for outcome in leader.outcomes] == [Fate.DONE] * 3


async def test_a_lone_write_waits_for_no_round(nursery, autojump_clock):
    leader = await Leader().lead(nursery)
    leader.answers = True
    began = trio.current_time()
    for key in ("first", "second", "third"):
        await leader.write(key)
    assert trio.current_time() == began


async def test_writes_that_come_long_after_the_last_round_are_no_sign_that_the_machine_slept(nursery, autojump_clock):
    """When the driver looks at the clock before it hands them over, as while it applies a long log."""
    leader = await Leader().lead(nursery)
    leader.answers = True
    await leader.write("first")
    await trio.sleep(5)
    consensus = leader.consensus
    fed: list[type] = []
    feed = consensus.core.feed

    def watched(event, now: float) -> None:
        fed.append(type(event))
        feed(event, now)

    consensus.core.feed = watched
    transactions = [encode(Transaction((Put(key, b"v", None),))) for key in ("second", "third")]
    consensus.proposals.begin(Bundle.of(transactions), consensus.core.term, 60, leader.outcomes.extend)
    assert consensus.proposals.has_pending
    consensus._tick()
    await trio.testing.wait_all_tasks_blocked()
    assert [outcome.fate for outcome in leader.outcomes] == [Fate.DONE] * 3
    assert Proposed in fed
    assert Gap not in fed
