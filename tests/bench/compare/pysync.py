"""PySyncObj: three processes with its default settings, in memory only; nothing is ever synced to a disk.

The load is made inside the leader's process by callbacks, which spares it a client and a hop and so flatters it:
`python -m tests.bench.compare.pysync SELF OTHER OTHER` is one member.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.compare.contender import Missing, free_ports
from tests.bench.compare.loader import KEYS_PER_TASK, Answer, Loader, Order, answer_of, serve_orders

MEMBERS = 3
LOOK_S = 0.01


class PySync:
    name = "PySyncObj"

    def __init__(self) -> None:
        self._members: list[Loader] = []
        self._leader: Loader | None = None

    def describe(self) -> str:
        version = importlib.metadata.version("pysyncobj")
        return f"PySyncObj {version}, defaults: memory only, never synced; no TLS; load inside the leader's process"

    def start(self, directory: Path) -> None:
        if importlib.util.find_spec("pysyncobj") is None:
            raise Missing("PySyncObj is not installed: pip install pysyncobj")
        addresses = [f"127.0.0.1:{port}" for port in free_ports(MEMBERS)]
        module = ["-m", "tests.bench.compare.pysync"]
        for address in addresses:
            others = [other for other in addresses if other != address]
            self._members.append(Loader([sys.executable, *module, address, *others]))
        ask = Order("leads", 0, 0, seconds=0.0)
        while self._leader is None:
            self._leader = next((member for member in self._members if member.take(ask).operations), None)
            time.sleep(LOOK_S)

    def pids(self) -> Mapping[str, int]:
        assert self._leader is not None
        followers = [member.pid for member in self._members if member is not self._leader]
        return {"leader": self._leader.pid, **{f"follower {n}": pid for n, pid in enumerate(followers, 1)}}

    def can(self, order: Order) -> bool:
        return order.kind == "write" and order.connections == 1 and order.clients == 1

    def load(self, order: Order) -> Answer:
        assert self._leader is not None
        return self._leader.take(order)

    def end(self) -> None:
        for member in self._members:
            member.end()
        self._members.clear()
        self._leader = None


def member(address: str, others: list[str]) -> None:
    from pysyncobj import SyncObj, replicated  # type: ignore[import-untyped,unused-ignore]

    class Keys(SyncObj):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            super().__init__(address, others)
            self.rows: dict[str, bytes] = {}

        @replicated  # type: ignore[untyped-decorator,misc,unused-ignore]
        def put(self, key: str, value: bytes) -> None:
            self.rows[key] = value

    keys = Keys()

    def run(order: Order) -> Answer:
        if order.kind == "leads":
            return Answer(int(keys._isLeader()), 0, 0.0, 0.0)
        return load(keys, order)

    serve_orders(run)


def load(keys: Any, order: Order) -> Answer:
    value = b"x" * order.value_bytes
    begin = time.perf_counter() + order.warm_up_s
    end = begin + order.seconds
    latencies: list[float] = []
    failures = 0
    running = order.in_flight
    names = [[f"key-{task}-{number}" for number in range(KEYS_PER_TASK)] for task in range(order.in_flight)]
    done = threading.Event()

    def put(task: int, count: int) -> None:
        nonlocal running
        began = time.perf_counter()
        if began > end:
            running -= 1
            if not running:
                done.set()
            return

        def decided(result: object, error: int) -> None:
            nonlocal failures
            ended = time.perf_counter()
            if error:
                failures += 1
            elif begin < began and ended < end:
                latencies.append(ended - began)
            put(task, count + 1)

        keys.put(names[task][count % KEYS_PER_TASK], value, callback=decided)

    for task in range(order.in_flight):
        put(task, 0)
    done.wait(order.warm_up_s + order.seconds + 10)
    return answer_of(latencies, failures)


if __name__ == "__main__":
    member(sys.argv[1], sys.argv[2:])
