"""The load for this project: `python -m tests.bench.compare.ours_load DIRECTORY`, with the client of the package.

One task for each write in flight, `await cluster.kv.put(…)` in a loop, as an application would. A connection is a
`swarmtui.connect` of its own; a read is `cluster.kv.get`, from the leader or from a follower. As an application of a
thousand tasks would, it lets Python's garbage collector leave alone what was there at the start, and look less often.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path

import attrs
import trio

import swarmtui
from swarmtui.client.errors import ClientError
from tests.bench.compare.loader import KEYS_PER_TASK, Answer, Order, answer_of, say


class Load:
    """Connections are made once, before anything is measured, and kept from order to order."""

    def __init__(self, directory: Path, stack: AsyncExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._clusters: list[swarmtui.Cluster] = []

    async def connect(self, count: int, follower: str) -> list[swarmtui.Cluster]:
        while len(self._clusters) < count:
            cluster = await self._stack.enter_async_context(swarmtui.connect(self._directory))
            await cluster.kv.put("warm-up", b"")
            await cluster.kv.get("warm-up", manager=follower)
            self._clusters.append(cluster)
        return self._clusters[:count]

    async def run(self, order: Order) -> Answer:
        follower = await self._follower()
        clusters = await self.connect(order.connections, follower)
        value = b"x" * order.value_bytes
        latencies: list[float] = []
        failures = 0
        begin = time.perf_counter() + order.warm_up_s
        end = begin + order.seconds

        def act(cluster: swarmtui.Cluster, key: str) -> Awaitable[object]:
            if order.kind == "read":
                return cluster.kv.get(key, manager="" if order.to_leader else follower)
            return cluster.kv.put(key, value)

        async def loop(task: int) -> None:
            nonlocal failures
            cluster = clusters[task % order.connections]
            keys = cycle([f"key-{task}-{number}" for number in range(KEYS_PER_TASK)])
            while (began := time.perf_counter()) < end:
                try:
                    await act(cluster, next(keys))
                except ClientError:
                    failures += 1
                else:
                    ended = time.perf_counter()
                    if begin < began and ended < end:
                        latencies.append(ended - began)

        async with trio.open_nursery() as nursery:
            for task in range(order.in_flight):
                nursery.start_soon(loop, task)
        return answer_of(latencies, failures)

    async def _follower(self) -> str:
        async with swarmtui.connect(self._directory) as cluster:
            while True:
                leader = (await cluster.status()).leader
                if leader:
                    return next(node.name for node in cluster.manifest.managers if node.name != leader)


async def main() -> None:
    async with AsyncExitStack() as stack:
        load = Load(Path(sys.argv[1]), stack)
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        say({"ready": True})
        while line := await trio.to_thread.run_sync(sys.stdin.readline):
            say(attrs.asdict(await load.run(Order(**json.loads(line)))))


if __name__ == "__main__":
    trio.run(main)
