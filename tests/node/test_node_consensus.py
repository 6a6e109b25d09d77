"""The driver of the core: when it ticks, how it shares its time, and that what is wrong ends the node."""

from types import SimpleNamespace

import pytest
import trio
import trio.testing

from swarmtui.node.consensus import APPLY_SLICE_BYTES, SOON_S, Consensus
from swarmtui.node.events import Events
from swarmtui.objects.codec import encode
from swarmtui.objects.transactions import Bundle
from swarmtui.raft.attestation import Attestation
from swarmtui.raft.effects import Apply, Role
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import Applied, Gap, Tick
from swarmtui.raft.invariants import InvariantViolation
from swarmtui.store import Store
from tests.node.conftest import UNWIRED, lead_alone, put


async def test_a_manager_attests_under_its_nodes_ids_and_no_more_once_it_must_stop(alone):
    consensus, _ = alone
    await consensus.reads.confirm(1.0)
    core = consensus.core
    assert consensus.attest(["a", "stranger"]) == Attestation("a", core.term, "a", core.log.commit, ("a",))
    consensus._fault = InvariantViolation("a rule")
    word, consensus._fault = consensus.attest(["a"]), None
    assert word is None


async def test_reads_are_confirmed_by_a_leader(alone):
    consensus, _ = alone
    assert await consensus.reads.confirm(1) == ""


class Beating:
    """A core that wants a tick every tenth of a second, as a leader does, and counts what it is fed."""

    def __init__(self) -> None:
        self.now = trio.current_time()
        self.deadline = self.now + 0.1
        self.fed: list[type] = []
        self.drains = 0

    def feed(self, event, now: float) -> None:
        self.now = now
        self.fed.append(type(event))
        if isinstance(event, Tick):
            self.deadline = now + 0.1

    has_effects = False

    def drain(self) -> list:
        self.drains += 1
        return []


def driven(core: Beating, store: Store | None = None) -> Consensus:
    return Consensus(core, store or Store(), Events("n1"), election_timeout_s=0.5)


async def test_a_machine_that_slept_is_one_gap_and_one_tick(nursery, autojump_clock):
    core = Beating()
    consensus = driven(core)
    nursery.start_soon(consensus.run, UNWIRED)
    await trio.sleep(0.15)
    core.fed.clear()
    autojump_clock.jump(60)
    await trio.sleep(0.25)
    assert core.fed == [Gap, Tick, Tick, Tick]


async def test_a_deadline_that_was_put_off_wakes_nobody_for_nothing(nursery, autojump_clock):
    core = Beating()
    consensus = driven(core)
    nursery.start_soon(consensus.run, UNWIRED)
    await trio.sleep(0.05)
    core.fed.clear()
    core.deadline = trio.current_time() + 0.1  # a turn does not hurry to tell trio
    consensus.turn()
    await trio.sleep(0.08)
    assert core.fed == []
    await trio.sleep(0.04)
    assert core.fed == [Tick]


async def test_a_deadline_that_would_soon_have_come_is_put_off_at_once(nursery, autojump_clock):
    """Else a leader that is always about to tell of a commit would be woken up every few milliseconds, for nothing."""
    core = Beating()
    core.deadline = core.now + SOON_S / 2
    consensus = driven(core)
    nursery.start_soon(consensus.run, UNWIRED)
    await trio.testing.wait_all_tasks_blocked()
    core.deadline = core.now + 0.1
    consensus.turn()
    core.drains = 0
    await trio.sleep(0.09)
    assert core.drains == 0
    await trio.sleep(0.02)
    assert core.fed == [Tick]


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
    consensus = driven(core, store)
    nursery.start_soon(consensus.run, UNWIRED)
    await trio.testing.wait_all_tasks_blocked()
    assert core.fed.count(Applied) == 16
    assert core.fed.count(Tick) >= 15
    assert Gap not in core.fed  # the machine was at work, it did not sleep


async def test_of_heavy_entries_few_are_applied_at_once(nursery):
    core = LongLog(long_log(8, bytes(APPLY_SLICE_BYTES // 2)))
    consensus = driven(core)
    nursery.start_soon(consensus.run, UNWIRED)
    await trio.testing.wait_all_tasks_blocked()
    assert core.fed.count(Applied) == 4
    assert consensus.store.index == 8


def broken(*_: object) -> list:
    raise InvariantViolation("one leader in a term", term=1)


@pytest.mark.parametrize("verb", ["drain", "feed"])
async def test_a_violation_that_a_call_brings_to_light_ends_the_node_and_is_not_the_callers(verb, monkeypatch):
    core = Beating()
    core.role, core.log = SimpleNamespace(kind=Role.FOLLOWER), SimpleNamespace(oldest_write_at=None)
    consensus = driven(core)
    with pytest.raises(BaseExceptionGroup) as raised:  # noqa: PT012 - where it is raised is the point
        async with trio.open_nursery() as nursery:
            nursery.start_soon(consensus.run, UNWIRED)
            await trio.testing.wait_all_tasks_blocked()
            monkeypatch.setattr(core, verb, broken)
            called = False
            consensus.proposals.begin(Bundle.of([encode(put("k", b"v"))]), 1, 5.0, lambda outcomes: None)
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
            consensus.proposals.begin(
                Bundle.of([encode(put("k", b"v"))]), consensus.core.term, 5.0, lambda outcomes: None
            )
            called = True
            wiring.disk = disk.want
            consensus.turn()
            consensus.hear(Tick())
            assert len(disk.writes) == before
            with trio.fail_after(5):
                await trio.sleep_forever()
    assert called
    assert raised.group_contains(ValueError)
