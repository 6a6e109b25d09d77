"""Writes through a leader that is alone: how many share an entry, what each is told, and when."""

import trio
import trio.testing

from swarmtui.objects.codec import encode
from swarmtui.objects.operations import Verdict
from swarmtui.objects.records import KeyValue
from swarmtui.objects.transactions import Bundle
from swarmtui.raft.entries import EntryKind
from swarmtui.wire.node_calls import Fate
from tests.node.conftest import put


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


async def test_a_call_that_cannot_be_told_apart_is_refused_as_a_whole(alone):
    consensus, disk = alone
    before = len(disk.writes)
    bundle = Bundle.of([encode(put("k", b"v")), b"\xc1"])
    outcomes = await consensus.proposals.submit_encoded(bundle, consensus.status().term, 5)
    assert [(outcome.fate, outcome.rule) for outcome in outcomes] == [(Fate.REFUSED, "invalid")] * 2
    assert (len(disk.writes), consensus.proposals.count, consensus.proposals.calls) == (before, 0, 0)


async def test_what_no_bytes_can_hold_is_refused_alone(alone):
    consensus, _ = alone
    asked = [put("k", b"v", 2**70), put("k", b"v")]
    outcomes = await consensus.proposals.submit(asked, consensus.status().term, 5)
    assert [outcome.fate for outcome in outcomes] == [Fate.REFUSED, Fate.DONE]


async def test_a_full_disk_refuses_by_name(alone):
    consensus, _ = alone
    consensus.proposals.closed = "n1's disk has 3 bytes free, 10 are kept in reserve; free some space"
    (outcome,) = await consensus.proposals.submit([put("k", b"v")], consensus.status().term, 5)
    assert (outcome.fate, outcome.rule) == (Fate.REFUSED, "disk")
