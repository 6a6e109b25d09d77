"""Writes: done, refused or unknown, many in one call, and on to the next manager."""

import gc

import pytest
import trio
import trio.testing

from swarmtui.client import Conflict, NoHost, NoLeader, NoQuorum, Refused, Unknown, delivery
from swarmtui.client.delivery import TOGETHER_MAX
from swarmtui.client.writes import Writes
from swarmtui.objects.operations import Put, Transaction
from swarmtui.objects.records import KeyValue
from swarmtui.wire.frames import FRAME_BYTES_MAX
from swarmtui.wire.node_calls import Fate, Outcome, Propose
from swarmtui.wire.rpc import Caller
from tests.client.conftest import connected


async def test_a_write_goes_to_whoever_leads(world, cluster):
    assert await cluster.kv.put("color", "green") == world.store.index
    assert world.batches == [("n1", 1)]


async def test_writes_of_one_moment_share_a_call_and_each_is_judged_alone(world, cluster):
    await cluster.kv.put("warm", "")
    world.batches.clear()
    versions: list[int] = []
    refused: list[str] = []

    async def create(number: int) -> None:
        try:
            versions.append(await cluster.kv.cas(f"key {number % 500}", 0, "x"))
        except Conflict as error:
            refused.append(str(error))

    async with trio.open_nursery() as nursery:
        for number in range(1000):
            nursery.start_soon(create, number)
    assert (len(set(versions)), len(refused)) == (500, 500)
    assert len(world.batches) <= 1000 // TOGETHER_MAX + 1
    assert sum(size for _, size in world.batches) == 1000


async def test_a_write_that_is_answered_leaves_nothing_to_the_garbage_collector(cluster):
    await cluster.kv.put("a", b"1")  # who leads is known from here on
    gc.collect()
    gc.disable()
    try:
        await cluster.kv.put("a", b"2")
        assert [each for each in gc.get_objects() if type(each) is delivery._Write] == []
    finally:
        gc.enable()


async def test_a_write_that_is_given_up_before_it_left_does_not_leave(world, cluster):
    with trio.CancelScope() as scope:
        scope.cancel()
        await cluster.kv.put("never", "x")
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert world.batches == []


async def test_a_manager_that_is_gone_is_passed_over(world, cluster):
    await cluster.kv.put("a", "1")
    await world.nodes["n1"].die()
    world.nodes["n1"].role = "follower"
    world.nodes["n3"].role = "leader"
    await cluster.kv.put("a", "2")
    assert world.batches == [("n1", 1), ("n3", 1)]


async def test_when_the_leader_dies_under_a_write_it_goes_to_any_survivor_at_once(world, cluster):
    """It waits there for the next leader: asking everybody who leads is in vain while nobody does."""
    await cluster.reports()
    await cluster.kv.put("a", "1")
    world.nodes["n1"].deaf_to = (Propose,)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cluster.kv.put, "a", "2")
        while world.nodes["n1"].calls["Propose"] != 2:
            await trio.testing.wait_all_tasks_blocked(0.01)
        asked = {name: node.calls["GetStatus"] for name, node in world.nodes.items()}
        await world.nodes["n1"].die()
    assert asked == {name: node.calls["GetStatus"] for name, node in world.nodes.items()}
    assert world.batches[-1] == ("n2", 1)
    assert world.nodes["n2"].lost == world.nodes["n1"].entry.id


async def test_many_that_look_for_a_leader_in_one_moment_ask_once(world, cluster):
    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(cluster.propose, Transaction((Put(f"k{number}", b""),)))
    assert all(node.calls["GetStatus"] <= 1 for node in world.nodes.values())


async def test_an_answer_that_does_not_come_in_time_is_unknown(world, cluster):
    await cluster.kv.put("a", "1")
    world.nodes["n1"].deaf_to = (Propose,)
    (outcome,) = await cluster.propose(Transaction((Put("a", b"2"),)), timeout_s=-1.9)
    assert (outcome.fate, outcome.rule) == (Fate.UNKNOWN, "lost")
    assert "read before you repeat" in outcome.reason
    with pytest.raises(Unknown, match="read before you repeat") as caught:
        await cluster.transact(Transaction((Put("a", b"2"),)), timeout_s=-1.9)
    assert caught.value.exit_code == 3


def no_leader(world, monkeypatch):
    world.nodes["n1"].refuse = Outcome(Fate.REFUSED, None, "no-leader", "no leader is known", 3, 3, 5)


def demoted(world, monkeypatch):
    world.nodes["n1"].refuses = (Propose,)


def full(world, monkeypatch):
    monkeypatch.setattr(Caller, "ask", lambda caller, call, done: False)


@pytest.mark.parametrize("what", [no_leader, demoted, full])
async def test_a_write_that_nobody_took_in_time_is_refused_for_want_of_a_leader(world, cluster, monkeypatch, what):
    """Found by the nemesis under seed 440744: it failed, and said nothing of what became of it."""
    await cluster.kv.put("a", "1")
    what(world, monkeypatch)
    with pytest.raises(NoLeader):
        await cluster.transact(Transaction((Put("a", b"2"),)), timeout_s=-1.0)  # the time is over when the answer comes
    assert world.store.get(KeyValue, "a").value == b"1"


async def test_a_leader_that_fell_silent_is_looked_at_before_it_is_given_a_write(world, cluster, monkeypatch):
    await cluster.kv.put("a", "1")
    monkeypatch.setattr("swarmtui.client.writes.TRUST_SILENT_S", 0.0)
    world.nodes["n1"].fall_silent()
    world.nodes["n2"].role, world.nodes["n2"].term = "leader", 4
    await cluster.kv.put("a", "2")
    assert world.nodes["n1"].calls["Propose"] == 1  # the first: it was not given the other and then given up
    assert world.batches == [("n1", 1), ("n2", 1)]
    assert cluster.leader == "n2"


async def test_the_other_side_of_a_partition_is_asked_as_well(world, cluster):
    """n1 leads no more and does not know it yet; n3 leads the majority."""
    await cluster.kv.put("a", "1")
    old = world.nodes["n1"]
    old.role, old.heard = "leader", ("n1", "n2")
    old.refuse = Outcome(Fate.REFUSED, None, "no-quorum", "no quorum: 2 of 5", 2, 3, 5)
    world.nodes["n3"].role, world.nodes["n3"].term = "leader", 4
    await cluster.kv.put("a", "2")
    assert [name for name, _ in world.batches] == ["n1", "n1", "n3"]


async def test_a_manager_that_lost_its_leader_between_the_look_and_the_write_is_not_the_last_word(world, cluster):
    """The write goes to the next leader in the same attempt; it is not handed back to wait for another one."""
    first, next_leader = world.nodes["n1"], world.nodes["n3"]

    def loses(call: Propose) -> tuple[Outcome, ...]:
        first.role, next_leader.role, next_leader.term = "follower", "leader", 4
        return (Outcome(Fate.REFUSED, None, "no-leader", "no leader is known", 3, 3, 5),) * call.count

    first._propose = loses
    outcomes = await Writes(cluster).propose(Propose.of(Transaction((Put("a", b"1"),)), timeout_s=1.0))
    assert [one.fate for one in outcomes] == [Fate.DONE]
    assert [name for name, _ in world.batches] == ["n3"]


async def test_without_a_quorum_a_write_is_refused_with_the_count(world):
    await world.start(leader="")
    for name in ("n3", "n4", "n5"):
        await world.nodes[name].die()
    for name in ("n1", "n2"):
        world.nodes[name].heard = ("n1", "n2")
    async with connected(world) as cluster:
        with pytest.raises(NoQuorum, match=r"2 of 5 managers answer, 3 are needed.*start one more manager") as caught:
            await cluster.kv.put("a", "1")
    assert (caught.value.reachable, caught.value.needed, caught.value.voters) == (2, 3, 5)
    assert caught.value.exit_code == 4


async def test_nobody_answers_with_and_without_a_host(world):
    async with connected(world) as cluster:
        with pytest.raises(NoHost, match="swarmtui up"):
            await cluster.kv.put("a", "1")
        await world.start_host()
        with pytest.raises(NoQuorum, match="0 of 5"):
            await cluster.kv.put("a", "1")


async def test_a_conflict_names_both_versions(cluster):
    first = await cluster.kv.put("a", "1")
    second = await cluster.kv.put("a", "2")
    with pytest.raises(Conflict) as caught:
        await cluster.kv.cas("a", first, "3")
    assert (caught.value.expected, caught.value.found, caught.value.exit_code) == (first, second, 1)


async def test_an_observer_cannot_write_and_is_told_so(world):
    await world.start()
    async with connected(world, "observer") as cluster:
        assert (await cluster.status()).leader == "n1"
        with pytest.raises(Refused, match="role observer may not make the call Propose"):
            await cluster.kv.put("a", "1")


async def test_what_bytes_cannot_hold_is_refused_here(world, cluster):
    with pytest.raises(Refused) as caught:
        await cluster.transact(Transaction((Put("a", b"", expected=2**70),)))
    assert caught.value.rule == "invalid"
    assert world.batches == []


async def test_a_fault_of_the_node_leaves_the_outcome_unknown(world, cluster):
    world.nodes["n1"]._propose = lambda call: 1 / 0
    with pytest.raises(Unknown, match="ZeroDivisionError"):
        await cluster.kv.put("a", "1")


async def test_an_answer_that_no_frame_holds_leaves_the_outcome_unknown(world, cluster):
    """The write may have been applied: what failed is telling so."""
    refused = Outcome(Fate.REFUSED, None, "conflict", "." * FRAME_BYTES_MAX)
    world.nodes["n1"].refuse = refused
    with pytest.raises(Unknown, match="bytes, at most"):
        await cluster.kv.put("a", "1")


async def test_one_look_finds_the_leader_for_many_writes(world, cluster):
    for _ in range(5):
        await cluster.kv.put("a", "1")
    assert world.nodes["n1"].calls["GetStatus"] <= 1


async def test_during_an_election_a_manager_that_hears_a_quorum_is_enough(world):
    """It knows of the leader before we do, or waits for the next one; nobody waits for those that say nothing."""
    await world.start(leader="")
    for name in ("n1", "n2"):
        world.nodes[name].fall_silent()
    world.nodes["n6"].role = "leader"  # somewhere there is one
    async with connected(world) as cluster:
        with trio.fail_after(10):
            await cluster.reports(for_writing=True, timeout_s=60)
        await cluster.kv.put("a", "1")
    assert world.batches[0][0] in ("n3", "n4", "n5")
