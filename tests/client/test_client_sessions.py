"""A write that is sent again: applied once, and answered with the result of its first time."""

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.client import Conflict, NoQuorum, Unknown, delivery, sessions
from swarmtui.client.sessions import Session
from swarmtui.objects.operations import Put, Transaction
from swarmtui.objects.records import KeyValue
from swarmtui.store import sessions as stored
from swarmtui.wire.node_calls import Fate, Outcome, Propose


@pytest.fixture
def hasty(monkeypatch):
    """Looks who leads soon after a call."""
    monkeypatch.setattr(delivery, "SILENCE_S", 0.02)
    monkeypatch.setattr(delivery, "LOOK_S", 0.02)


async def until(condition) -> None:
    with trio.fail_after(10):
        while not condition():
            await trio.testing.wait_all_tasks_blocked(0.005)


def lead(world, name: str) -> None:
    for node in world.nodes.values():
        if node.role:
            node.role = "leader" if node.entry.name == name else "follower"
            node.term += 1


# ---------------------------------------------------------------------------------------------------------- sent again


async def test_a_write_whose_answer_died_with_the_leader_is_applied_once(world, cluster):
    await cluster.kv.put("warm", "")
    old = world.nodes["n1"]
    old.swallows = 1
    index = world.store.index
    versions: list[int] = []

    async def swap() -> None:
        versions.append(await cluster.kv.cas("lock", 0, "mine"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(swap)
        await until(lambda: world.store.index > index)
        lead(world, "n3")
        await old.die()
    assert versions == [index + 1]
    assert world.store.index == index + 2  # both copies are in the log
    assert world.store.get(KeyValue, "lock").version == index + 1


async def test_a_leader_that_falls_silent_is_given_up_when_another_leads(world, cluster, hasty):
    await cluster.kv.put("warm", "")
    world.nodes["n1"].swallows = 1
    index = world.store.index
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cluster.kv.put, "a", "1")
        await until(lambda: world.store.index > index)
        world.nodes["n1"].fall_silent()
        lead(world, "n2")
    assert [name for name, _ in world.batches] == ["n1", "n1", "n2"]
    assert world.store.get(KeyValue, "a").version == index + 1


async def test_a_slow_leader_that_still_leads_is_waited_for(world, cluster, hasty):
    await cluster.kv.put("warm", "")
    world.nodes["n1"].swallows = 1
    looks = world.nodes["n1"].calls["GetStatus"]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cluster.kv.put, "a", "1")
        await until(lambda: world.nodes["n1"].calls["GetStatus"] > looks + 3)
        nursery.cancel_scope.cancel()
    assert [name for name, _ in world.batches] == ["n1", "n1"]


async def test_a_refusal_of_the_first_time_is_answered_again(world, cluster):
    await cluster.kv.put("a", "1")
    old = world.nodes["n1"]
    old.swallows = 1
    index = world.store.index
    found: list[int | None] = []

    async def swap() -> None:
        with pytest.raises(Conflict) as caught:
            await cluster.kv.cas("a", 0, "2")
        found.append(caught.value.found)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(swap)
        await until(lambda: world.store.index > index)
        lead(world, "n4")
        await old.die()
    assert found == [index]


async def test_what_a_deposed_leader_had_not_kept_is_asked_of_the_next(world, cluster):
    await cluster.kv.put("warm", "")
    old = world.nodes["n1"]
    old.refuse = Outcome(Fate.REFUSED, None, "overwritten", "the entry 7 of term 3 was overwritten")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cluster.kv.put, "a", "1")
        await until(lambda: len(world.batches) >= 2)
        old.refuse = None
    assert world.store.get(KeyValue, "a") is not None


async def test_in_doubt_nothing_is_called_refused(world, cluster):
    """The first copy may have been applied: that nobody takes the second is no answer."""
    await cluster.kv.put("warm", "")
    old = world.nodes["n1"]
    old.swallows = 1
    index = world.store.index
    raised: list[BaseException] = []

    async def write() -> None:
        try:
            await cluster.transact(Transaction((Put("a", b"1"),)), timeout_s=1.0)
        except (Unknown, NoQuorum) as error:
            raised.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await until(lambda: world.store.index > index)
        for node in world.nodes.values():
            node.role, node.heard = node.role and "follower", ("n1", "n2")
        await old.die()
    (error,) = raised
    assert isinstance(error, Unknown)


# ------------------------------------------------------------------------------------------------- sessions that ended


async def test_a_session_that_the_store_forgot_is_replaced_by_another(world, cluster):
    await cluster.kv.put("a", "1")
    world.store._sessions.advance(world.store._sessions.clock + stored.SESSION_IDLE_S + 1)
    assert len(world.store._sessions) == 0
    await cluster.kv.put("a", "2")
    assert world.store.get(KeyValue, "a").value == b"2"
    assert len(world.store._sessions) == 1


async def test_a_session_that_ended_in_doubt_leaves_the_outcome_unknown(world, cluster):
    await cluster.kv.put("warm", "")
    old = world.nodes["n1"]
    old.swallows = 1
    index = world.store.index

    async def write() -> None:
        with pytest.raises(Unknown, match=r"sent again, but session .* is not known"):
            await cluster.kv.put("a", "1")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await until(lambda: world.store.index > index)
        world.store._sessions.advance(world.store._sessions.clock + stored.SESSION_IDLE_S + 1)
        lead(world, "n5")
        await old.die()
    assert world.store.get(KeyValue, "a").version == index + 1


async def test_results_that_arrived_are_discarded(world, cluster):
    for number in range(20):
        await cluster.kv.put("a", str(number))
    ((*_, results),) = world.store._sessions.freeze().sessions
    assert len(results) == 1


async def test_more_in_flight_than_a_session_holds_take_another_session(world, cluster, monkeypatch):
    await cluster.kv.put("warm", "")
    monkeypatch.setattr(sessions, "IN_FLIGHT_MAX", 10)
    async with trio.open_nursery() as nursery:
        for number in range(35):
            nursery.start_soon(cluster.kv.put, f"k{number}", "")
    assert len(world.store.keys("k")) == 35
    assert len(world.store._sessions) >= 3


async def test_writes_that_were_given_up_do_not_fill_the_session(world, cluster):
    await cluster.kv.put("warm", "")
    world.nodes["n1"].deaf_to = (Propose,)
    with trio.move_on_after(0.05):
        await cluster.propose(Transaction((Put("a", b"1"),)))
    world.nodes["n1"].deaf_to = ()
    await cluster.kv.put("b", "1")
    session = cluster._delivery._session
    assert (session.lowest, session._serial) == (4, 3)


# ------------------------------------------------------------------------------------------------------------- numbers


@given(st.lists(st.booleans()), st.randoms())
def test_the_lowest_is_the_lowest_that_is_unanswered(steps: list[bool], random) -> None:
    session, open_serials, given_out = Session(1), set(), 0
    for begins in steps:
        if begins or not open_serials:
            given_out += 1
            assert session.next() == given_out
            open_serials.add(given_out)
        else:
            serial = random.choice(sorted(open_serials))
            open_serials.discard(serial)
            session.answered(serial)
        assert session.lowest == min(open_serials, default=given_out + 1)
