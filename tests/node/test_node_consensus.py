"""The driver of the core: one voter and a disk that is a promise, so every order of events can be chosen."""

from types import SimpleNamespace

import pytest
import trio
import trio.testing

from swarmtui.node.consensus import APPLY_SLICE_BYTES, Consensus, Wiring
from swarmtui.node.events import Events
from swarmtui.objects.codec import encode, encode_transactions
from swarmtui.objects.operations import Put, Transaction, Verdict
from swarmtui.objects.records import KeyValue
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.effects import Apply, Role, Write
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import Applied, CampaignAsked, Gap, Received, Tick, Written
from swarmtui.raft.invariants import InvariantViolation
from swarmtui.raft.messages import Append
from swarmtui.store import Store
from swarmtui.wire.node_calls import Fate
from tests.node.conftest import UNWIRED, newborn

ALONE = Configuration(voters=(Member("a", "n1", "127.0.0.1:1"),))


class PromisedDisk:
    """Writes are durable when the test says so."""

    def __init__(self, consensus: Consensus) -> None:
        self.writes: list[Write] = []
        self.held = False
        self._consensus = consensus

    def want(self, effect) -> None:
        if isinstance(effect, Write):
            self.writes.append(effect)
            if not self.held:
                self._consensus.feed(Written(effect.sequence))

    def release(self) -> None:
        self.held = False
        self._consensus.feed(Written(self.writes[-1].sequence))


@pytest.fixture
async def alone(nursery):
    return await lead_alone(nursery)


async def lead_alone(nursery):
    consensus = newborn(ALONE)
    disk = PromisedDisk(consensus)
    led = trio.Event()

    def role_changed(effect) -> None:
        if effect.role is Role.LEADER:
            led.set()

    nursery.start_soon(
        consensus.run,
        Wiring(
            send=lambda message: None,
            disk=disk.want,
            role_changed=role_changed,
            applied=lambda index: None,
            moved=lambda: None,
        ),
    )
    consensus.feed(CampaignAsked())
    with trio.fail_after(5):
        await led.wait()
    return consensus, disk


def put(key: str, value: bytes, expected: int | None = None) -> Transaction:
    return Transaction((Put(key, value, expected),))


async def test_a_write_is_answered_once_it_is_applied(alone):
    consensus, _ = alone
    term = consensus.status().term
    (outcome,) = await consensus.proposals.submit([put("color", b"green")], term, 5)
    assert outcome.fate is Fate.DONE
    assert consensus.store.get(KeyValue, "color").value == b"green"
    assert consensus.store.get(KeyValue, "color").version == outcome.result.index


async def test_nothing_is_acknowledged_before_the_disk_has_it(alone):
    consensus, disk = alone
    disk.held = True
    outcomes = []

    async def write() -> None:
        outcomes.extend(await consensus.proposals.submit([put("k", b"v")], consensus.status().term, 60))

    async with trio.open_nursery() as writers:
        writers.start_soon(write)
        with trio.fail_after(5):
            while not disk.writes or not disk.writes[-1].entries or disk.writes[-1].entries[-1].kind is EntryKind.NOOP:
                await trio.lowlevel.checkpoint()
        assert outcomes == []
        assert consensus.store.get(KeyValue, "k") is None
        disk.release()
    assert outcomes[0].fate is Fate.DONE


async def test_whoever_wants_clients_to_go_first_is_told_when_the_last_is_answered(alone):
    consensus, disk = alone
    await consensus.proposals.all_answered()  # nobody waits
    disk.held = True
    answered = trio.Event()

    async def write() -> None:
        await consensus.proposals.submit([put("k", b"v")], consensus.status().term, 30.0)
        answered.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0.01) as waited:
            await consensus.proposals.all_answered()
        assert waited.cancelled_caught
        disk.release()
        with trio.fail_after(5):
            await consensus.proposals.all_answered()
    assert answered.is_set()


async def test_what_is_asked_while_the_disk_is_at_work_shares_the_next_entry(alone):
    consensus, disk = alone
    term = consensus.status().term
    disk.held = True
    outcomes = {}

    async def write(key: str) -> None:
        (outcomes[key],) = await consensus.proposals.submit([put(key, b"v")], term, 60)

    async with trio.open_nursery() as writers:
        for key in ("first", "second", "third", "fourth"):  # one after another, each awake alone
            writers.start_soon(write, key)
            await trio.testing.wait_all_tasks_blocked()
        carried = [entry for write in disk.writes for entry in write.entries if entry.kind is EntryKind.TRANSACTIONS]
        assert len(carried) == 1
        disk.release()
    indexes = {key: outcome.result.index for key, outcome in outcomes.items()}
    assert indexes["second"] == indexes["third"] == indexes["fourth"] == indexes["first"] + 1


async def test_of_those_that_wait_for_the_disk_who_gives_up_was_certainly_not_appended(alone):
    consensus, disk = alone
    term = consensus.status().term
    disk.held = True
    outcomes = {}

    async def write(key: str, timeout_s: float) -> None:
        outcomes[key] = await consensus.proposals.submit([put(key, b"1"), put(key + "!", b"2")], term, timeout_s)

    async with trio.open_nursery() as writers:
        for key, timeout_s in (("a", 60), ("b", 60), ("hurried", 0.05), ("c", 60)):
            writers.start_soon(write, key, timeout_s)
            await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(5):
            while "hurried" not in outcomes:
                await trio.lowlevel.checkpoint()
        disk.release()
    assert [(one.fate, one.rule) for one in outcomes.pop("hurried")] == [(Fate.REFUSED, "timeout")] * 2
    assert {one.fate for told in outcomes.values() for one in told} == {Fate.DONE}
    assert {key.id for key in consensus.store.keys("")} == {"a", "a!", "b", "b!", "c", "c!"}


async def test_each_transaction_of_a_call_gets_its_own_outcome_over_however_many_entries(alone):
    consensus, _ = alone
    asked = [put("k", b"1"), put("", b"bad"), put("j", b"1"), put("k", b"2"), put("k", b"3", 77), put("l", b"1")]
    outcomes = await consensus.proposals.submit(asked, consensus.status().term, 5)
    assert [one.fate for one in outcomes] == [
        Fate.DONE,
        Fate.REFUSED,
        Fate.DONE,
        Fate.DONE,
        Fate.REFUSED,
        Fate.DONE,
    ]
    assert [one.rule for one in outcomes] == ["", "invalid", "", "", "conflict", ""]
    first = outcomes[0].result.index
    assert [one.result.index - first for one in outcomes if one.result is not None] == [0, 0, 1, 2, 2]


async def test_two_writes_of_one_key_in_flight_get_versions_of_their_own(alone):
    consensus, _ = alone
    outcomes = await consensus.proposals.submit([put("k", b"1"), put("k", b"2")], consensus.status().term, 5)
    assert [outcome.fate for outcome in outcomes] == [Fate.DONE, Fate.DONE]
    assert outcomes[0].result.index < outcomes[1].result.index


async def test_of_eight_swaps_of_one_version_one_succeeds(alone):
    consensus, _ = alone
    term = consensus.status().term
    (first,) = await consensus.proposals.submit([put("k", b"0")], term, 5)
    outcomes = await consensus.proposals.submit([put("k", b"x", first.result.index) for _ in range(8)], term, 5)
    assert [outcome.fate for outcome in outcomes].count(Fate.DONE) == 1
    conflicts = [outcome.result for outcome in outcomes if outcome.fate is Fate.REFUSED]
    assert len(conflicts) == 7
    assert all(result.verdict is Verdict.CONFLICT and result.expected == first.result.index for result in conflicts)


async def test_a_proposal_for_another_term_is_refused(alone):
    consensus, _ = alone
    (outcome,) = await consensus.proposals.submit([put("k", b"v")], consensus.status().term + 1, 5)
    assert outcome.fate is Fate.REFUSED
    assert outcome.rule in ("wrong-term", "not-leader")


async def test_what_does_not_become_durable_in_time_is_unknown_and_not_refused(alone):
    consensus, disk = alone
    disk.held = True
    with trio.fail_after(60):
        (outcome,) = await consensus.proposals.submit([put("k", b"v")], consensus.status().term, 0.2)
    assert outcome.fate is Fate.UNKNOWN


async def test_malformed_transactions_never_reach_the_log(alone):
    consensus, disk = alone
    before = len(disk.writes)
    (outcome,) = await consensus.proposals.submit([put("", b"v")], consensus.status().term, 5)
    assert outcome.fate is Fate.REFUSED
    assert outcome.rule == "invalid"
    assert len(disk.writes) == before


async def test_a_full_disk_refuses_by_name(alone):
    consensus, _ = alone
    consensus.proposals.closed = "n1's disk has 3 bytes free, 10 are kept in reserve; free some space"
    (outcome,) = await consensus.proposals.submit([put("k", b"v")], consensus.status().term, 5)
    assert (outcome.fate, outcome.rule) == (Fate.REFUSED, "disk")


async def test_reads_are_confirmed_by_a_leader(alone):
    consensus, _ = alone
    assert await consensus.reads.confirm(1) == ""


class Beating:
    """A core that wants a tick every tenth of a second, as a leader does, and counts what it is fed."""

    def __init__(self) -> None:
        self.deadline = trio.current_time() + 0.1
        self.fed: list[type] = []

    def feed(self, event, now: float) -> None:
        self.fed.append(type(event))
        if isinstance(event, Tick):
            self.deadline = now + 0.1

    has_effects = False

    def drain(self) -> list:
        return []


async def test_a_machine_that_slept_is_one_gap_and_one_tick(nursery, autojump_clock):
    core = Beating()
    consensus = Consensus(core, Store(), Events("n1"), election_timeout_s=0.5)
    nursery.start_soon(consensus.run, UNWIRED)
    await trio.sleep(0.15)
    core.fed.clear()
    autojump_clock.jump(60)
    await trio.sleep(0.25)
    assert core.fed == [Gap, Tick, Tick, Tick]


class LongLog(Beating):
    """Wants a long log to be applied, all at once."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        super().__init__()
        self.entries = entries
        self.role = SimpleNamespace(kind=Role.FOLLOWER)
        self.log = SimpleNamespace(oldest_write_at=None)

    def drain(self) -> list:
        entries, self.entries = self.entries, ()
        return [Apply(entries)] if entries else []


def long_log(count: int, data: bytes = b"") -> tuple[Entry, ...]:
    return tuple(Entry(index, 1, EntryKind.TRANSACTIONS, data) for index in range(1, count + 1))


async def test_heartbeats_go_on_while_a_long_log_is_applied(nursery, autojump_clock, monkeypatch):
    core, store = LongLog(long_log(1000)), Store()

    def apply(index: int, term: int, data: bytes) -> list:
        autojump_clock.jump(0.002)
        return []

    monkeypatch.setattr(store, "apply", apply)
    consensus = Consensus(core, store, Events("n1"), election_timeout_s=0.5)
    nursery.start_soon(consensus.run, UNWIRED)
    await trio.testing.wait_all_tasks_blocked()
    assert core.fed.count(Applied) == 16
    assert core.fed.count(Tick) >= 15
    assert Gap not in core.fed  # the machine was at work, it did not sleep


async def test_of_heavy_entries_few_are_applied_at_once(nursery):
    core = LongLog(long_log(8, bytes(APPLY_SLICE_BYTES // 2)))
    consensus = Consensus(core, Store(), Events("n1"), election_timeout_s=0.5)
    nursery.start_soon(consensus.run, UNWIRED)
    await trio.testing.wait_all_tasks_blocked()
    assert core.fed.count(Applied) == 4
    assert consensus.store.index == 8


PAIR = Configuration(voters=(Member("a", "n1", "127.0.0.1:1"), Member("b", "n2", "127.0.0.1:2")))


async def follow(nursery, told: list[str]) -> Consensus:
    """A follower of "b" whose wiring notes in `told` what is done, in order."""
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
    told.clear()
    return consensus


def append(index: int, commit: int) -> Received:
    data = encode_transactions([encode(put(f"key-{index}", b"v"))], 1.0)
    entry = Entry(index, 1, EntryKind.TRANSACTIONS, data)
    message = Append(
        cluster="c", source="b", target="a", term=1, session=1, previous_index=index - 1, previous_term=1,
        commit=commit, entries=(entry,),
    )  # fmt: skip
    return Received(message)


async def test_a_follower_answers_for_what_is_durable_before_it_applies_what_is_committed(nursery):
    told: list[str] = []
    consensus = await follow(nursery, told)
    consensus.hear(append(2, commit=1))
    consensus.hear(Written(consensus.core.log.sequence))
    assert told[-1] == "sends AppendReply"
    told.clear()
    consensus.hear(append(3, commit=2))
    assert told == ["writes [3]"]
    assert consensus.store.get(KeyValue, "key-2") is None
    consensus.hear(Written(consensus.core.log.sequence))
    assert told == ["writes [3]", "sends AppendReply", "applied 2"]
    assert consensus.store.get(KeyValue, "key-2").value == b"v"


async def test_what_a_turn_put_off_is_applied_by_the_next_whatever_brings_it(nursery):
    told: list[str] = []
    consensus = await follow(nursery, told)
    consensus.hear(append(2, commit=1))
    consensus.hear(Written(consensus.core.log.sequence))
    consensus.hear(append(3, commit=2))
    consensus.feed(Tick())
    await trio.testing.wait_all_tasks_blocked()
    assert told[-1] == "applied 2"


async def test_a_read_joins_no_question_that_has_left(nursery):
    """Whoever is told in the middle of a turn what was applied may read at once; that question leaves in the same turn."""
    told: list[str] = []
    consensus = await follow(nursery, told)
    wiring = consensus._wiring
    consensus.hear(append(2, commit=1))
    consensus.hear(Written(consensus.core.log.sequence))
    consensus.hear(append(3, commit=2))
    told.clear()
    wiring.applied = lambda index: consensus.reads.begin(told.append)
    consensus.hear(Written(consensus.core.log.sequence))
    wiring.applied = lambda index: None
    assert told.count("sends ReadRequest") == 1
    consensus.reads.begin(told.append)
    consensus.turn()
    assert told.count("sends ReadRequest") == 2


async def test_a_read_that_is_alone_leaves_in_the_step_of_whoever_asks(nursery):
    told: list[str] = []
    consensus = await follow(nursery, told)
    consensus.hear(append(2, commit=1))
    consensus.hear(Written(consensus.core.log.sequence))
    consensus.hear(append(3, commit=2))
    told.clear()
    consensus.reads.begin(told.append)
    assert told.count("sends ReadRequest") == 1
    consensus.reads.begin(told.append)  # the first is under way: all who ask from now on share the next turn
    consensus.reads.begin(told.append)
    assert told.count("sends ReadRequest") == 1
    await trio.testing.wait_all_tasks_blocked()
    assert told.count("sends ReadRequest") == 2


async def test_who_asks_in_the_middle_of_a_turn_does_not_begin_another_within_it(nursery):
    """The effects of the inner one would overtake those of the outer."""
    told: list[str] = []
    consensus = await follow(nursery, told)
    wiring, disk = consensus._wiring, consensus._wiring.disk
    consensus.hear(append(2, commit=1))
    consensus.hear(Written(consensus.core.log.sequence))
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
        [encode(put("k", b"v"))], consensus.core.term, 5.0, lambda outcomes: told.append("answer")
    )
    await trio.testing.wait_all_tasks_blocked()
    at = told.index("answer")
    assert told[at : at + 3] == ["answer", "flush", "books"]


async def test_a_deadline_that_was_put_off_wakes_nobody_for_nothing(nursery, autojump_clock):
    core = Beating()
    consensus = Consensus(core, Store(), Events("n1"), election_timeout_s=0.5)
    nursery.start_soon(consensus.run, UNWIRED)
    await trio.sleep(0.05)
    core.fed.clear()
    core.deadline = trio.current_time() + 0.1  # a turn does not hurry to tell trio
    consensus.turn()
    await trio.sleep(0.08)
    assert core.fed == []
    await trio.sleep(0.04)
    assert core.fed == [Tick]


async def test_a_write_that_is_alone_leaves_in_the_step_in_which_it_is_asked_for(alone):
    consensus, disk = alone
    await trio.testing.wait_all_tasks_blocked()
    disk.held = True
    before, outcomes = len(disk.writes), []
    consensus.proposals.begin([encode(put("k", b"v"))], consensus.core.term, 5.0, outcomes.extend)
    assert len(disk.writes) == before + 1
    consensus.proposals.begin([encode(put("l", b"v"))], consensus.core.term, 5.0, outcomes.extend)
    assert len(disk.writes) == before + 1
    disk.release()
    with trio.fail_after(5):
        await consensus.proposals.all_answered()
    assert [outcome.fate for outcome in outcomes] == [Fate.DONE, Fate.DONE]


def broken(*_: object) -> list:
    raise InvariantViolation("one leader in a term", term=1)


@pytest.mark.parametrize("verb", ["drain", "feed"])
async def test_a_violation_that_a_call_brings_to_light_ends_the_node_and_is_not_the_callers(verb, monkeypatch):
    core = Beating()
    core.role, core.log = SimpleNamespace(kind=Role.FOLLOWER), SimpleNamespace(oldest_write_at=None)
    consensus = Consensus(core, Store(), Events("n1"), election_timeout_s=0.5)
    with pytest.raises(BaseExceptionGroup) as raised:  # noqa: PT012 - where it is raised is the point
        async with trio.open_nursery() as nursery:
            nursery.start_soon(consensus.run, UNWIRED)
            await trio.testing.wait_all_tasks_blocked()
            monkeypatch.setattr(core, verb, broken)
            called = False
            consensus.proposals.begin([encode(put("k", b"v"))], 1, 5.0, lambda outcomes: None)
            consensus.reads.begin(lambda reason: None)
            called = True
            with trio.fail_after(5):
                await trio.sleep_forever()
    assert called
    assert raised.group_contains(InvariantViolation)


async def test_a_turn_that_a_call_began_and_that_failed_half_way_is_the_last():
    """Its Write never reached the disk; the report of the next one would vouch for it."""

    def fail(effect) -> None:
        raise ValueError("a fault of this program")

    with pytest.raises(BaseExceptionGroup) as raised:  # noqa: PT012 - where it is raised is the point
        async with trio.open_nursery() as nursery:
            consensus, disk = await lead_alone(nursery)
            await trio.testing.wait_all_tasks_blocked()
            wiring, before = consensus._wiring, len(disk.writes)
            wiring.disk = fail
            called = False
            consensus.proposals.begin([encode(put("k", b"v"))], consensus.core.term, 5.0, lambda outcomes: None)
            called = True
            wiring.disk = disk.want
            consensus.turn()
            consensus.hear(Tick())
            assert len(disk.writes) == before
            with trio.fail_after(5):
                await trio.sleep_forever()
    assert called
    assert raised.group_contains(ValueError)
