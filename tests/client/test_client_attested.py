"""Reads that ask a quorum by themselves: who is asked, and what is done when that is not enough."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
import trio

from swarmtui.client import connect, lookups, witnesses
from swarmtui.wire.key_calls import Attest, Attestation
from tests.client.conftest import connected, node_id

WITNESSES = 2  # beside the giver, of five
IMPATIENCE_S = 0.1  # with a word that will not come


@pytest.fixture
async def warm(world):
    """A client that has written, so that it knows the leader, and has a connection to every manager."""
    await world.start()
    async with connected(world) as cluster:
        await cluster.kv.put("color", "green")
        yield cluster


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "WORD_PATIENCE_S", IMPATIENCE_S)


def asked(world, kind: str = "Attest") -> dict[str, int]:
    """How often each was asked, where it was."""
    return {name: node.calls[kind] for name, node in world.nodes.items() if node.calls[kind]}


def of_ordinary(world) -> int:
    return sum(len(node.confirmed) for node in world.nodes.values())


def dialled(world) -> int:
    return sum(len(node.connections) for node in world.nodes.values())


async def read(cluster, manager: str = "") -> None:
    assert (await cluster.kv.get("color", manager=manager)).value == b"green"


@asynccontextmanager
async def quickly():
    """Within the patience with a word, and long before any other."""
    began = trio.current_time()
    yield
    assert trio.current_time() - began < lookups.PATIENCE_S / 4


async def test_the_leader_and_enough_others_are_asked_together(world, warm):
    for _ in range(3):
        await read(warm)
    assert asked(world, "GetKeys") == {"n1": 3}
    assert asked(world) == {"n2": 3, "n3": 3}
    assert of_ordinary(world) == 0


async def test_a_follower_gives_the_value_and_the_leader_is_one_of_the_others(world, warm):
    await read(warm, "n4")
    assert asked(world, "GetKeys") == {"n4": 1}
    assert asked(world) == {"n1": 1, "n2": 1}
    assert of_ordinary(world) == 0


async def test_the_leader_is_asked_wherever_it_stands(world):
    await world.start(leader="n5")
    async with connected(world) as cluster:
        await cluster.kv.put("color", "green")
        await read(cluster, "n4")
    assert asked(world) == {"n1": 1, "n5": 1}
    assert of_ordinary(world) == 0


async def test_a_client_that_reads_once_dials_nobody_for_it(world):
    await world.start()
    async with connect(world.directory) as cluster:
        assert await cluster.kv.get("color") is None
        await trio.sleep(0.05)
    assert dialled(world) == 1
    assert asked(world) == {}


async def test_who_is_missing_is_dialled_meanwhile_and_the_ordinary_way_is_used_until_then(world):
    await world.start()
    async with connect(world.directory) as cluster:
        for _ in range(2):
            await cluster.kv.get("color", manager="n1")
        assert of_ordinary(world) == 2
        with trio.fail_after(5):
            while not asked(world):
                await trio.sleep(0.01)
                await cluster.kv.get("color", manager="n1")
        assert dialled(world) == 1 + WITNESSES
        ordinary = of_ordinary(world)
        await cluster.kv.get("color", manager="n1")
        assert of_ordinary(world) == ordinary


async def test_who_only_reads_learns_of_the_leader_from_what_is_said(world):
    await world.start(leader="n4")
    async with connected(world) as cluster:
        for _ in range(2):
            assert await cluster.kv.get("color") is None
    assert asked(world, "GetKeys")["n4"] == 1
    assert world.nodes["n4"].confirmed == []


async def test_a_later_term_is_believed_and_the_new_leader_asked_from_then_on(world, warm):
    """The deposed one does not know it yet: it goes on saying that it leads."""
    await read(warm)
    world.nodes["n5"].role = "leader"
    for name in ("n2", "n3", "n4", "n5"):
        world.nodes[name].term = 4
    await read(warm)
    assert len(world.nodes["n1"].confirmed) == 1, "its word was not taken"
    await read(warm)
    assert (asked(world, "GetKeys")["n5"], world.nodes["n5"].confirmed) == (1, [])


async def test_a_follower_that_lags_confirms_by_itself_and_is_left_alone_for_a_while(world, warm, monkeypatch):
    monkeypatch.setattr(witnesses, "REST_S", 0.2)
    world.nodes["n3"].index = 1
    for _ in range(3):
        await read(warm, "n3")
    assert asked(world) == {"n1": 1, "n2": 1}
    assert len(world.nodes["n3"].confirmed) == 3
    await read(warm)
    assert asked(world)["n3"] == 1, "it can be a witness all the same"
    world.nodes["n3"].index = 0
    await trio.sleep(0.25)
    await read(warm, "n3")
    assert len(world.nodes["n3"].confirmed) == 3


async def test_a_silent_witness_costs_one_delay_and_another_takes_its_place(world, warm, impatient, monkeypatch):
    monkeypatch.setattr(witnesses, "REST_S", 0.05)
    world.nodes["n2"].deaf_to = (Attest,)
    async with quickly():
        await read(warm)
    assert of_ordinary(world) == 1
    for _ in range(5):
        await read(warm)
        await trio.sleep(0.03)
    assert of_ordinary(world) == 1
    assert asked(world) == {"n2": 1, "n3": 6, "n4": 5}


async def test_a_silent_witness_is_asked_again_once_it_has_answered(world, warm, impatient, monkeypatch):
    monkeypatch.setattr(witnesses, "REST_S", 0.0)
    world.nodes["n2"].paused = trio.Event()
    await read(warm)
    await read(warm)
    assert asked(world)["n2"] == 1
    world.nodes["n2"].paused.set()
    await trio.sleep(0.05)
    await read(warm)
    assert asked(world)["n2"] == 2
    assert of_ordinary(world) == 1


async def test_without_another_witness_the_managers_confirm_by_themselves(world, warm, impatient):
    for name in ("n2", "n3", "n4"):
        world.nodes[name].deaf_to = (Attest,)
    async with quickly():
        for _ in range(4):
            await read(warm)
    assert of_ordinary(world) == 4
    assert asked(world) == {"n2": 1, "n3": 1, "n4": 1, "n5": 1}


async def test_a_witness_that_dies_under_a_question_costs_no_patience(world, warm):
    world.nodes["n2"].deaf_to = (Attest,)
    async with quickly(), trio.open_nursery() as nursery:
        nursery.start_soon(read, warm)
        while not asked(world).get("n2"):
            await trio.sleep(0.001)
        await world.nodes["n2"].die()
    await read(warm)
    assert asked(world)["n4"] == 1
    assert of_ordinary(world) == 1


async def test_a_witness_that_is_no_manager_any_more_is_left_alone(world, warm):
    world.nodes["n2"].refuses = (Attest,)
    await read(warm)
    await read(warm)
    assert asked(world) == {"n2": 1, "n3": 2, "n4": 1}
    assert of_ordinary(world) == 1


async def test_the_rows_have_more_time_than_the_words(world, warm, impatient):
    world.nodes["n1"].paused = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, warm)
        await trio.sleep(2 * IMPATIENCE_S)
        world.nodes["n1"].paused.set()
    assert of_ordinary(world) == 0


async def test_a_hundred_reads_of_one_moment_are_confirmed_by_a_few_words(world, warm):
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(read, warm)
    assert sum(asked(world).values()) <= 3 * WITNESSES
    assert of_ordinary(world) == 0


async def test_words_of_others_than_the_leader_counted_are_no_quorum(world, warm, monkeypatch):
    ids = (node_id("n1"), node_id("n4"), node_id("n5"))
    monkeypatch.setattr(world.nodes["n1"], "word", lambda asked: Attestation(ids[0], 3, ids[0], 0, ids))
    await read(warm)
    assert len(world.nodes["n1"].confirmed) == 1
