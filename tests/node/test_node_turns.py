"""What the driver of the core does in one turn, and in which order: write, answer, apply, ask for reads."""

import pytest
import trio
import trio.testing

from swarmtui.node.consensus import READING_S, Consensus
from swarmtui.node.wiring import Wiring
from swarmtui.objects.codec import encode
from swarmtui.objects.records import KeyValue
from swarmtui.objects.transactions import Bundle, encode_transactions
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.effects import Accepted, Send
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import CampaignAsked, Received, Tick, Written
from swarmtui.raft.messages import Append, ReadRequest
from swarmtui.wire.node_calls import Fate
from tests.node.conftest import ALONE, newborn, put

PAIR = Configuration(voters=(Member("a", "n1", "127.0.0.1:1"), Member("b", "n2", "127.0.0.1:2")))


@pytest.fixture
def told() -> list[str]:
    """What is done, in order."""
    return []


@pytest.fixture
async def follower(nursery, told) -> Consensus:
    """A follower of "b" which has entry 2 on its disk, and whose wiring notes what is done."""
    consensus = newborn(PAIR)
    wiring = Wiring(
        send=lambda message: told.append(f"sends {type(message).__name__}"),
        disk=lambda effect: told.append(f"writes {[entry.index for entry in effect.entries]}"),
        role_changed=lambda effect: None,
        applied=lambda index: told.append(f"applied {index}"),
        moved=lambda: None,
    )
    nursery.start_soon(consensus.run, wiring)
    await trio.testing.wait_all_tasks_blocked()
    consensus.hear(append(2, commit=1))
    consensus.hear(Written(consensus.core.log.sequence))
    return consensus


def append(index: int, commit: int) -> Received:
    data = encode_transactions([encode(put(f"key-{index}", b"v"))], 1.0)
    entry = Entry(index, 1, EntryKind.TRANSACTIONS, data)
    message = Append(
        cluster="c", source="b", target="a", term=1, session=1, previous_index=index - 1, previous_term=1,
        commit=commit, entries=(entry,),
    )  # fmt: skip
    return Received(message)


async def test_a_follower_answers_for_what_is_durable_before_it_applies_what_is_committed(follower, told):
    consensus = follower
    assert told[-1] == "sends AppendReply"
    told.clear()
    consensus.hear(append(3, commit=2))
    assert told == ["writes [3]"]
    assert consensus.store.get(KeyValue, "key-2") is None
    consensus.hear(Written(consensus.core.log.sequence))
    assert told == ["writes [3]", "sends AppendReply", "applied 2"]
    assert consensus.store.get(KeyValue, "key-2").value == b"v"


async def test_what_is_durable_at_once_is_answered_for_in_the_same_turn_before_anything_is_applied(follower, told):
    consensus, wiring, wanted = follower, follower._wiring, []
    wiring.disk = wanted.append
    wiring.begin_disk = lambda may_wait: Written(wanted.pop().sequence) if wanted else None
    told.clear()
    consensus.hear(append(3, commit=2))
    assert told == ["sends AppendReply", "applied 2"]
    assert consensus.core.log.durable == 3


async def test_the_disk_is_waited_for_unless_several_calls_are_under_way(alone, told):
    consensus, disk = alone
    disk.held = True
    consensus._wiring.begin_disk = lambda may_wait: told.append(may_wait())
    term = consensus.status().term
    for key in ("a", "b", "c"):
        consensus.proposals.begin(Bundle.of([encode(put(key, b"v"))] * 2), term, 60.0, lambda outcomes: None)
        await trio.testing.wait_all_tasks_blocked()
        consensus.turn()
        told.append(key)
    assert told.index("a") > 0
    assert set(told[: told.index("a")]) == {True}  # one call, however much it asks for
    assert set(told[told.index("a") + 1 :]) == {False, "b", "c"}
    disk.release()
    await consensus.proposals.all_answered()
    consensus.turn()
    assert told[-1] is True


@pytest.mark.parametrize(
    "read", [lambda consensus: consensus.attest(["n1", "n2"]), lambda consensus: consensus.reads.begin(print)]
)
async def test_while_somebody_reads_the_disk_is_not_waited_for(follower, told, autojump_clock, read):
    consensus, wiring = follower, follower._wiring
    wiring.begin_disk = lambda may_wait: told.append(f"may wait: {may_wait()}")
    for index, waits in ((3, True), (4, False), (5, True)):
        told.clear()
        if not waits:
            read(consensus)
        consensus.hear(append(index, commit=1))
        assert told[-1] == f"may wait: {waits}"
        await trio.sleep(2 * READING_S)


async def test_what_a_turn_put_off_is_applied_by_the_next_whatever_brings_it(follower, told):
    consensus = follower
    consensus.hear(append(3, commit=2))
    consensus.feed(Tick())
    await trio.testing.wait_all_tasks_blocked()
    assert told[-1] == "applied 2"


async def test_a_read_joins_no_question_that_has_left(follower, told):
    """Whoever is told in the middle of a turn what was applied may read at once; that question leaves in the same turn."""
    consensus, wiring = follower, follower._wiring
    consensus.hear(append(3, commit=2))
    told.clear()
    wiring.applied = lambda index: consensus.reads.begin(told.append)
    consensus.hear(Written(consensus.core.log.sequence))
    wiring.applied = lambda index: None
    assert told.count("sends ReadRequest") == 1
    consensus.reads.begin(told.append)
    consensus.turn()
    assert told.count("sends ReadRequest") == 2


async def test_a_read_that_is_alone_leaves_in_the_step_of_whoever_asks(follower, told):
    consensus = follower
    consensus.hear(append(3, commit=2))
    told.clear()
    consensus.reads.begin(told.append)
    assert told.count("sends ReadRequest") == 1
    consensus.reads.begin(told.append)  # the first is under way: all who ask from now on share the next turn
    consensus.reads.begin(told.append)
    assert told.count("sends ReadRequest") == 1
    await trio.testing.wait_all_tasks_blocked()
    assert told.count("sends ReadRequest") == 2


async def test_who_asks_in_the_middle_of_a_turn_does_not_begin_another_within_it(follower, told):
    """The effects of the inner one would overtake those of the outer."""
    consensus, wiring, disk = follower, follower._wiring, follower._wiring.disk
    told.clear()

    def ask_and_write(effect) -> None:
        consensus.reads.begin(told.append)
        assert "sends ReadRequest" not in told
        disk(effect)

    wiring.disk = ask_and_write
    consensus.hear(append(3, commit=2))
    wiring.disk = disk
    await trio.testing.wait_all_tasks_blocked()
    assert told.count("sends ReadRequest") == 1


async def test_answers_leave_before_the_books_are_kept(nursery):
    told: list[str] = []
    consensus = newborn(ALONE)
    wiring = Wiring(
        send=lambda message: None,
        disk=lambda effect: consensus.feed(Written(effect.sequence)),
        role_changed=lambda effect: None,
        applied=lambda index: told.append("books"),
        moved=lambda: None,
        flush=lambda: told.append("flush"),
    )
    nursery.start_soon(consensus.run, wiring)
    consensus.feed(CampaignAsked())
    await trio.testing.wait_all_tasks_blocked()
    told.clear()
    consensus.proposals.begin(
        Bundle.of([encode(put("k", b"v"))]), consensus.core.term, 5.0, lambda outcomes: told.append("answer")
    )
    await trio.testing.wait_all_tasks_blocked()
    at = told.index("answer")
    assert told[at : at + 3] == ["answer", "flush", "books"]


async def test_a_write_that_is_alone_leaves_in_the_step_in_which_it_is_asked_for(alone):
    consensus, disk = alone
    await trio.testing.wait_all_tasks_blocked()
    disk.held = True
    before, outcomes = len(disk.writes), []
    consensus.proposals.begin(Bundle.of([encode(put("k", b"v"))]), consensus.core.term, 5.0, outcomes.extend)
    assert len(disk.writes) == before + 1
    consensus.proposals.begin(Bundle.of([encode(put("l", b"v"))]), consensus.core.term, 5.0, outcomes.extend)
    assert len(disk.writes) == before + 1
    disk.release()
    with trio.fail_after(5):
        await consensus.proposals.all_answered()
    assert [outcome.fate for outcome in outcomes] == [Fate.DONE, Fate.DONE]


def test_what_one_peer_is_sent_leaves_together_before_the_next_ones_is_made(told):
    wiring = Wiring(
        send=lambda message: told.append(message),
        disk=lambda effect: None,
        role_changed=lambda effect: None,
        applied=lambda index: None,
        moved=lambda: None,
        flush=lambda: told.append("leaves"),
    )
    to_b, to_c = (ReadRequest(cluster="c", source="a", target=target, term=1, ticket=1) for target in "bc")
    wiring.send_all([Accepted(1, 1, 1), Send(to_b), Send(to_b), Send(to_c)])
    assert told[told.index(to_b) :] == [to_b, to_b, "leaves", to_c, "leaves"]
