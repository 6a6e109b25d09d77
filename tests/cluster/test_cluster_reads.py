"""Reads that ask a quorum by themselves, of real managers: fresh from everyone, whoever is paused, and never stale."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
import trio

import swarmtui
from swarmtui.client import lookups
from swarmtui.client.errors import NoLeader, NoQuorum
from swarmtui.wire.rpc import Caller
from tests.cluster.conftest import RealCluster, wait_for

pytestmark = pytest.mark.cluster

T = TypeVar("T")
WARM_READS = 30
QUICKLY_S = 1.0
WORD_PATIENCE_S = 0.25


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many calls of each kind leave this process, which has more patience with a word: the machine may be busy."""
    counts = {"confirmed": 0, "attested": 0}
    ask = Caller.ask

    def counting(caller: Caller, call, done) -> bool:
        if type(call).__name__ == "GetKeys":
            counts["attested" if call.asked else "confirmed"] += 1
        return ask(caller, call, done)

    monkeypatch.setattr(Caller, "ask", counting)
    monkeypatch.setattr(lookups, "WORD_PATIENCE_S", WORD_PATIENCE_S)
    return counts


def connected(real: RealCluster, use: Callable[[swarmtui.Cluster], Awaitable[T]]) -> T:
    return real.ask(use)


async def warm(cluster: swarmtui.Cluster, *managers: str) -> None:
    """Until every manager is connected, and who leads is known."""
    await cluster.kv.put("warm", "yes")
    for manager in managers or ("",):
        for _ in range(WARM_READS):
            await cluster.kv.get("warm", manager=manager)
            await trio.sleep(0.005)


async def run(real: RealCluster, *words: str) -> None:
    await trio.to_thread.run_sync(lambda: real.run(*words))


def test_everybody_reads_what_was_written_before(cluster: RealCluster, counted: dict[str, int]):
    cluster.up(managers=3)
    names = [cluster.leader(), *cluster.followers()]

    async def use(client: swarmtui.Cluster) -> None:
        await warm(client, *names)
        for number in range(60):
            await client.kv.put("k", str(number))
            for name in names:
                record = await client.kv.get("k", manager=name)
                assert record is not None
                assert record.value == str(number).encode()
        for key in ("attested", "confirmed"):
            counted[key] = 0
        await trio.sleep(1.5)
        for name in names:
            for _ in range(20):
                await client.kv.get("k", manager=name)

    connected(cluster, use)
    assert counted["attested"] > 10 * counted["confirmed"], counted


@pytest.mark.parametrize("managers", [1, 5])
def test_one_manager_needs_nobody_and_five_need_two_others(
    cluster: RealCluster, counted: dict[str, int], managers: int
):
    cluster.up(managers=managers)

    async def use(client: swarmtui.Cluster) -> None:
        await warm(client)
        for key in ("attested", "confirmed"):
            counted[key] = 0
        for number in range(20):
            await client.kv.put("k", str(number))
            assert (await client.kv.get("k")).value == str(number).encode()

    connected(cluster, use)
    assert counted["attested"] == (0 if managers == 1 else 20)


def test_a_paused_witness_costs_a_moment_and_no_more(cluster: RealCluster, counted: dict[str, int]):
    cluster.up(managers=3)
    followers = cluster.followers()

    async def use(client: swarmtui.Cluster) -> None:
        await warm(client)
        for paused in followers:
            await run(cluster, "pause", paused)
            began = time.monotonic()
            await client.kv.get("warm")
            assert time.monotonic() - began < QUICKLY_S
            await client.kv.put("k", paused)
            before = counted["confirmed"]
            for _ in range(50):
                assert (await client.kv.get("k")).value == paused.encode()
            assert counted["confirmed"] - before <= 1, "the other follower took its place"
            assert time.monotonic() - began < 2 * QUICKLY_S
            await run(cluster, "resume", paused)
            await trio.sleep(0.1)

    connected(cluster, use)


def test_a_client_that_still_believes_in_a_deposed_leader_reads_nothing_stale(cluster: RealCluster):
    """It was paused, is deposed, goes on, and for a moment thinks that it leads; so does this client, which asks it."""
    cluster.up(managers=3)
    old = cluster.leader()

    async def write(value: str) -> None:
        async with swarmtui.connect(cluster.directory) as other:
            while True:
                try:
                    await other.kv.put("k", value)
                    return
                except (NoQuorum, NoLeader):
                    await trio.sleep(0.02)

    async def use(client: swarmtui.Cluster) -> None:
        await warm(client)
        await client.kv.put("k", "old")
        assert client.leader == old
        await run(cluster, "pause", old)
        await write("new")
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(read_new, client)
            await trio.sleep(0.005)
            await run(cluster, "resume", old)
        for name in (old, "", *(node.name for node in client.manifest.managers)):
            await read_new(client, name)

    async def read_new(client: swarmtui.Cluster, name: str = "") -> None:
        record = await client.kv.get("k", manager=name)
        assert record is not None
        assert record.value == b"new"

    connected(cluster, use)
    wait_for("the old leader follows", lambda: cluster.node(old)["state"] == "follower")


def test_a_named_follower_that_is_resumed_gives_nothing_old(cluster: RealCluster):
    cluster.up(managers=3)
    follower = cluster.followers()[0]

    async def use(client: swarmtui.Cluster) -> None:
        await warm(client, follower)
        for number in range(3):
            await run(cluster, "pause", follower)
            for _ in range(20):
                await client.kv.put("k", str(number))
            await run(cluster, "resume", follower)
            assert (await client.kv.get("k", manager=follower)).value == str(number).encode()

    connected(cluster, use)
