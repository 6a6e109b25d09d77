"""What a large store costs: `python -m tests.bench.bench_million [--keys 1000000]`. Nothing here is asserted.

Three managers, TLS and fdatasync on, defaults. Writes of 256 bytes with a thousand in flight, over keys that are there:
first while every manager writes the snapshot that the filling made due; then in turn, second by second, with a second cluster
that is almost empty, so that a drift of the machine meets both; then memory, the pauses while the leader takes a
snapshot, the restart of a follower from its disk, and one that was away for so long that it needs the leader's snapshot. A
pause is the longest time without any acknowledgement, with a hundred writes in flight, until AFTER_S beyond the end of the
work, for what it makes superfluous is deleted then.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import trio

import swarmtui
from swarmtui.client.errors import ClientError
from swarmtui.objects.operations import Put, Transaction
from swarmtui.wire.node_calls import Fate, NodeReport, TakeSnapshot
from tests.bench.bench_cluster import command

PUTS_A_TRANSACTION = 100
TRANSACTIONS_IN_FLIGHT = 20
IN_FLIGHT = 1000
WARM_UP_S = 0.2
WRITE_S = 1.0
TURNS = 20  # of each: a full store writes a snapshot of its own accord about every twenty seconds under this load
PAUSE_IN_FLIGHT = 100
AFTER_S = 2.0
FEW_KEYS = 10_000
AWAY_ENTRIES = 700  # more than the entries that are kept for followers behind a snapshot
LIMIT_S = 120.0


def key(number: int) -> str:
    return f"million/{number:09d}"


async def fill(cluster: swarmtui.Cluster, keys: int) -> None:
    firsts = iter(range(0, keys, PUTS_A_TRANSACTION))
    began = time.perf_counter()

    async def filler() -> None:
        for first in firsts:
            numbers = range(first, min(first + PUTS_A_TRANSACTION, keys))
            puts = tuple(Put(key(number), os.urandom(256)) for number in numbers)
            (outcome,) = await cluster.propose(Transaction(puts))
            assert outcome.fate is Fate.DONE, outcome

    async with trio.open_nursery() as nursery:
        for _ in range(TRANSACTIONS_IN_FLIGHT):
            nursery.start_soon(filler)
    seconds = time.perf_counter() - began
    print(f"filled with {keys} keys in {seconds:.0f} s, {keys / seconds:.0f} keys a second", flush=True)


async def writer(cluster: swarmtui.Cluster, own: range, acknowledged: list[float]) -> None:
    """Writes keys of its own only: two writes of one key cannot share an entry, which among few keys would cost more than
    many keys do."""
    while True:
        with suppress(ClientError):
            await cluster.kv.put(key(random.choice(own)), b"y" * 256)
            acknowledged.append(time.perf_counter())


async def rate(cluster: swarmtui.Cluster, keys: int) -> float:
    """Acknowledged writes a second."""
    acknowledged: list[float] = []
    async with trio.open_nursery() as nursery:
        for number in range(IN_FLIGHT):
            nursery.start_soon(writer, cluster, range(number, keys, IN_FLIGHT), acknowledged)
        await trio.sleep(WARM_UP_S)
        acknowledged.clear()
        began = time.perf_counter()
        await trio.sleep(WRITE_S)
        seconds = time.perf_counter() - began
        nursery.cancel_scope.cancel()
    return len(acknowledged) / seconds


async def in_turn(small: swarmtui.Cluster, large: swarmtui.Cluster, keys: int) -> None:
    """What a million keys cost."""
    turns = [(await rate(small, FEW_KEYS), await rate(large, keys)) for _ in range(TURNS)]
    few, many = (statistics.mean(rates) for rates in zip(*turns, strict=True))
    ratios = [one / other for other, one in turns]
    error = statistics.stdev(ratios) / TURNS**0.5
    print(f"writes, 1000 in flight: {few:.0f}/s among {FEW_KEYS} keys, {many:.0f}/s among {keys}")
    print(f"ratio {statistics.mean(ratios):.2f} +-{error:.2f}", flush=True)


async def beside(cluster: swarmtui.Cluster, keys: int, what: str, work: Callable[[], Awaitable[None]]) -> None:
    """How long `work` takes under writes, and their longest pause."""
    acknowledged: list[float] = []
    async with trio.open_nursery() as nursery:
        for number in range(PAUSE_IN_FLIGHT):
            nursery.start_soon(writer, cluster, range(number, keys, PAUSE_IN_FLIGHT), acknowledged)
        await trio.sleep(1.0)
        began = time.perf_counter()
        await work()
        seconds = time.perf_counter() - began
        await trio.sleep(AFTER_S)
        ended = time.perf_counter()
        nursery.cancel_scope.cancel()

    def pause(answers: list[float]) -> float:
        return max((later - earlier for earlier, later in itertools.pairwise(answers)), default=0.0) * 1000

    before = pause([answer for answer in acknowledged if answer < began])
    meanwhile = pause([began, *(answer for answer in acknowledged if answer >= began), ended])
    count = sum(answer >= began for answer in acknowledged)
    print(
        f"{what}: {seconds:.1f} s, {count / (ended - began):.0f} writes a second meanwhile, "
        f"longest pause {meanwhile:.0f} ms (the second before: {before:.0f} ms)",
        flush=True,
    )


async def look(cluster: swarmtui.Cluster, name: str) -> NodeReport | None:
    try:
        return await cluster.report(name, 2.0)
    except ClientError:
        return None


async def caught_up(cluster: swarmtui.Cluster, name: str, leader: str) -> NodeReport:
    with trio.fail_after(LIMIT_S):
        while True:
            theirs, ours = await look(cluster, name), await look(cluster, leader)
            if theirs is not None and ours is not None and theirs.applied >= ours.commit > 0:
                return theirs
            await trio.sleep(0.05)


async def snapshot(cluster: swarmtui.Cluster, name: str) -> None:
    """A manager's, of all that is applied there now."""
    applied = (await cluster.report(name)).applied
    answer = await cluster.ask(name, TakeSnapshot())
    assert not answer.refused, answer
    with trio.fail_after(LIMIT_S):
        while (await cluster.report(name)).snapshot < applied:
            await trio.sleep(0.01)


async def memory(cluster: swarmtui.Cluster, keys: int, empty: dict[str, int]) -> dict[str, int]:
    resident = {
        node.name: psutil.Process(node.pid).memory_info().rss for node in (await cluster.status()).nodes if node.pid
    }
    for name, size in resident.items():
        per_key = f", {(size - empty[name]) / keys:.0f} bytes a key" if name in empty else ""
        print(f"{name}: {size / 1e6:.0f} MB resident{per_key}", flush=True)
    return resident


async def measure(directory: Path, beside_it: Path, keys: int) -> None:
    async with swarmtui.connect(directory) as cluster, swarmtui.connect(beside_it) as small:
        for one in (small, cluster):
            await fill(one, FEW_KEYS)
            await rate(one, FEW_KEYS)  # warms up
        empty = await memory(cluster, keys, {})
        await fill(cluster, keys)
        await memory(cluster, keys, empty)
        print(f"right after the filling: {await rate(cluster, keys):.0f} writes a second", flush=True)
        async with trio.open_nursery() as nursery:
            for node in cluster.manifest.managers:
                nursery.start_soon(snapshot, cluster, node.name)
        await in_turn(small, cluster, keys)
        leader = (await cluster.status()).leader
        follower = next(node.name for node in cluster.manifest.managers if node.name != leader)
        await beside(cluster, keys, "snapshot of the leader", lambda: snapshot(cluster, leader))

        began = time.perf_counter()
        await cluster.host.power(follower, "restart")
        await caught_up(cluster, follower, leader)
        print(f"follower restarted until it has caught up, idle: {time.perf_counter() - began:.1f} s", flush=True)

        await cluster.host.power(follower, "kill")
        for number in range(AWAY_ENTRIES):  # one at a time: each an entry of its own
            await cluster.propose(Transaction((Put(key(number), b"z" * 256),)))
        await snapshot(cluster, leader)
        mark = (await cluster.report(leader)).snapshot

        async def comes_back() -> None:
            await cluster.host.power(follower, "start")
            await caught_up(cluster, follower, leader)

        await beside(cluster, keys, "follower that was away catches up", comes_back)
        theirs = await cluster.report(follower)
        print(f"by snapshot: {theirs.snapshot >= mark} (its {theirs.snapshot}, the leader's {mark})", flush=True)
        await memory(cluster, keys, empty)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000)
    keys = parser.parse_args().keys
    with tempfile.TemporaryDirectory(prefix="million-") as name, ExitStack() as stack:
        print(f"load of the machine before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores", flush=True)
        directories = [Path(name) / size for size in ("large", "small")]
        for directory in directories:
            directory.mkdir()
            (directory / "cluster.toml").write_text('[cluster]\nname = "million"\nmanagers = 3\nworkers = 0\n')
            stack.callback(command, directory, "down")
            command(directory, "up", "-d")
        trio.run(measure, *directories, keys)


if __name__ == "__main__":
    main()
