"""What a manager's threads do beside its event loop never harms it: snapshots and backups without end, amid many writes of
keys that are there, while the threads take turns every few steps."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
import trio

import swarmtui
from swarmtui.objects.records import KeyValue
from swarmtui.wire.node_calls import Consistency, ListRecords, Records
from tests.cluster.conftest import RealCluster, wait_for

pytestmark = pytest.mark.cluster

FILE = '[cluster]\nname = "restless"\nmanagers = 3\n[raft]\nsnapshot_every = 500\nkeep_entries = 100\n'
WRITERS, WRITES, KEYS = 300, 60, 2_000
PATIENCE_S = 90.0


async def write_and_save(cluster: swarmtui.Cluster, directory: Path) -> dict[str, int]:
    """All the writes, and all the time a backup of each manager. The index of the last write to each key."""
    written: dict[str, int] = {}
    saved = 0

    async def write(writer: int) -> None:
        for number in range(WRITES):
            key = f"key-{(writer + number * WRITERS) % KEYS}"
            index = await cluster.kv.put(key, f"{writer}-{number}")
            written[key] = max(index, written.get(key, 0))

    async def save(node: str, all_written: trio.CancelScope) -> None:
        nonlocal saved
        with all_written:
            for number in count():
                await cluster.save_backup(directory / f"{node}-{number}", node=node)
                saved += 1

    with trio.fail_after(PATIENCE_S):
        all_written = [trio.CancelScope() for _ in cluster.manifest.managers]
        async with trio.open_nursery() as savers:
            for node, scope in zip(cluster.manifest.managers, all_written, strict=True):
                savers.start_soon(save, node.name, scope)
            async with trio.open_nursery() as writers:
                for writer in range(WRITERS):
                    writers.start_soon(write, writer)
            for scope in all_written:
                scope.cancel()
    assert saved > len(all_written)
    return written


async def versions(cluster: swarmtui.Cluster, node: str) -> dict[str, int]:
    """What this manager has, by its own store."""
    answer = await cluster.ask(node, ListRecords((KeyValue.TABLE,), Consistency.STALE))
    assert isinstance(answer, Records)
    return {record.id: record.version for record in answer.records if isinstance(record, KeyValue)}


def test_snapshots_and_backups_are_taken_and_let_go_amid_writes(cluster: RealCluster):
    cluster.make_restless()
    cluster.up(FILE)
    before = {node["name"]: node["pid"] for node in cluster.status()["nodes"]}
    written = cluster.ask(lambda asked: write_and_save(asked, cluster.directory))
    assert len(written) == KEYS
    for name in before:
        wait_for(f"{name} to have all", lambda name=name: cluster.ask(lambda asked: versions(asked, name)) == written)
    assert all(state["snapshot"] > 0 for state in cluster.raft_states())
    assert {node["name"]: node["pid"] for node in cluster.status()["nodes"]} == before, "a manager has ended"
    assert not cluster.last_words()
