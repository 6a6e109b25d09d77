"""A request that is sent again is applied once: over deaths of leaders, snapshots and a power cut (docs/raft.md, S51 and S52)."""

import os
import signal

import pytest
import trio

import swarmtui
from swarmtui.client import NotReached, Refused, Unknown
from swarmtui.objects.operations import Put, Result, Transaction, Verdict
from swarmtui.wire.node_calls import Fate, GetStatus, NodeReport, Outcome, Propose, Proposed, TakeSnapshot
from tests.cluster.conftest import PATIENCE_S, RealCluster, wait_for

pytestmark = pytest.mark.cluster

SESSION = 2**62 + 7
WRITERS = 40
WRITES = 20  # each
STRANGER = Transaction((Put("lock", b"stolen"),), SESSION + 1, 1, 1, 0)  # of a session that nobody opened
SHORT = '[cluster]\nname = "short"\nmanagers = 3\n[raft]\nkeep_entries = 10\n'


def send(cluster: RealCluster, request: Transaction) -> Outcome:
    """This very copy of the request to whoever takes it."""

    async def ask(client: swarmtui.Cluster) -> Outcome:
        with trio.fail_after(PATIENCE_S):
            while True:
                for manager in client.managers():
                    try:
                        answer = await client.ask(manager.name, Propose.of(request, timeout_s=5.0))
                    except (NotReached, Refused, Unknown):
                        continue
                    assert isinstance(answer, Proposed)
                    (outcome,) = answer.outcomes
                    if outcome.result is not None:
                        return outcome
                await trio.sleep(0.02)

    return cluster.ask(ask)


def snapshots(cluster: RealCluster) -> list[tuple[str, int, int]]:
    """(node, index of its snapshot, index applied)"""

    async def ask(client: swarmtui.Cluster) -> list[tuple[str, int, int]]:
        reports = [await client.ask(node.name, GetStatus()) for node in client.manifest.managers]
        return [(each.name, each.snapshot, each.applied) for each in reports if isinstance(each, NodeReport)]

    return cluster.ask(ask)


def take_snapshots(cluster: RealCluster) -> None:
    async def ask(client: swarmtui.Cluster) -> None:
        for node in client.manifest.managers:
            await client.ask(node.name, TakeSnapshot())

    cluster.ask(ask)


def test_S51_a_repeat_over_a_leader_change_a_snapshot_and_a_restart_is_applied_once(cluster: RealCluster):
    cluster.up(SHORT)
    cluster.run("kv", "put", "color", "green")
    since = int(cluster.run("kv", "put", "color", "red").stdout)
    request = Transaction((Put("lock", b"mine", 0),), SESSION, 1, 1, since)
    first = send(cluster, request)
    assert first.fate is Fate.DONE
    assert send(cluster, request) == first

    old = cluster.leader()
    os.kill(cluster.node(old)["pid"], signal.SIGKILL)
    wait_for("another leader", lambda: cluster.status()["leader"] not in (old, None))
    assert send(cluster, request) == first, "after the death of the leader"
    cluster.run("start", old)

    cluster.write_many([(f"filler-{number}", "x") for number in range(40)])
    assert first.result is not None
    version = first.result.index
    wait_for("everybody caught up", lambda: all(applied > version + 40 for _, _, applied in snapshots(cluster)))
    take_snapshots(cluster)
    wait_for("snapshots above it", lambda: all(index > version for _, index, _ in snapshots(cluster)))
    cluster.kill_everything()
    cluster.run("up", "-d")
    assert send(cluster, request) == first, "after a power cut, from a snapshot"
    assert cluster.run("kv", "get", "lock", "--format", "json").json[0]["version"] == version

    forgotten = Transaction((Put("lock", b"again"),), SESSION, 1, 2, 0)
    send(cluster, Transaction((Put("other", b""),), SESSION, 2, 2, 0))
    for _ in range(2):  # S52: refused wherever it is asked, and not applied
        refused = send(cluster, forgotten).result
        assert isinstance(refused, Result)
        assert refused.verdict is Verdict.EXPIRED
    assert send(cluster, STRANGER).result.verdict is Verdict.EXPIRED
    assert cluster.run("kv", "get", "lock", "--format", "json").json[0]["version"] == version


def test_no_write_is_lost_or_applied_twice_while_leaders_die(cluster: RealCluster):
    """Each key is created once: a writer whose own first copy was applied would meet a conflict with itself."""
    cluster.up(managers=3)
    created: dict[str, int] = {}

    async def write(client: swarmtui.Cluster, writer: int) -> None:
        for number in range(WRITES):
            key = f"key-{writer}-{number}"
            created[key] = await client.kv.cas(key, 0, key)
            await trio.sleep(0.05)

    async def kill_leaders(client: swarmtui.Cluster) -> None:
        for _ in range(2):
            count = len(created)
            while len(created) < count + WRITERS:
                await trio.sleep(0.01)
            old = (await client.status()).leader
            assert old is not None
            await client.host.power(old, "kill")
            await client.host.power(old, "start")

    async def everything(client: swarmtui.Cluster) -> dict[str, int]:
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(kill_leaders, client)
                for writer in range(WRITERS):
                    nursery.start_soon(write, client, writer)
            return {record.id: record.version for record in await client.kv.list("key-")}

    stored = cluster.ask(everything)
    assert len(created) == WRITERS * WRITES
    assert stored == created
