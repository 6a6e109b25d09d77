"""`python tests/bench/bench_store.py [KEYS]`: what the store costs, in microseconds, bytes and pauses.

Prints one figure a line: reading, writing and applying transactions of one Put of 256 bytes; memory of a key; how long
the event loop stands still when a snapshot of all keys is taken, and while it is encoded in another thread.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable

import psutil

from swarmtui.objects import codec
from swarmtui.objects.operations import Put, Transaction
from swarmtui.objects.transactions import encode_transactions
from swarmtui.store import Store
from swarmtui.store.batching import split
from swarmtui.store.sessions import Sessions
from swarmtui.store.snapshot import read_snapshot
from swarmtui.store.validation import check

VALUE_BYTES = 256
BATCH = 1000
ROUNDS = 20
IN_FLIGHT = 100  # of a session


def best_us(what: str, work: Callable[[], object]) -> None:
    """The best of some rounds, a transaction."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    print(f"{what:34} {min(times) / BATCH * 1e6:9.2f} us")


def transactions(first: int, count: int) -> list[Transaction]:
    return [Transaction((Put(f"key-{at:09d}", os.urandom(VALUE_BYTES)),)) for at in range(first, first + count)]


def costs() -> None:
    some = transactions(0, BATCH)
    encoded = [codec.encode(each) for each in some]
    pairs = list(zip(encoded, some, strict=True))
    entry = encode_transactions(encoded, 1.0)
    store = Store()
    watched = Store()
    watch = watched.watch()

    in_session = [
        codec.encode_request(each, 2**63 + 5, at, max(1, at - IN_FLIGHT), 1) for at, each in enumerate(some, 1)
    ]
    session_entry = encode_transactions(in_session, 1.0)
    in_sessions = Store()

    def apply_in_session() -> None:
        in_sessions._sessions = Sessions()
        in_sessions.apply(in_sessions.index + 1, 1, session_entry)

    def apply_watched() -> None:
        watched.apply(watched.index + 1, 1, entry)
        watch.take()

    best_us("encode", lambda: [codec.encode(each) for each in some])
    best_us("encode in a session", lambda: [codec.encode_request(each, 2**63 + 5, 1000, 900, 1) for each in some])
    best_us("decode in a session", lambda: [codec.decode(each, Transaction) for each in in_session])
    best_us("decode", lambda: [codec.decode(each, Transaction) for each in encoded])
    best_us("check against the limits", lambda: [check(each, len(data)) for data, each in pairs])
    best_us("split into entries", lambda: split(pairs, 1024 * 1024))
    best_us("apply", lambda: store.apply(store.index + 1, 1, entry))
    best_us("apply in a session", apply_in_session)
    best_us("apply and take from a watch", apply_watched)


def pauses(keys: int) -> None:
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    store = Store()
    for first in range(0, keys, BATCH):
        encoded = [codec.encode(each) for each in transactions(first, BATCH)]
        store.apply(store.index + 1, 1, encode_transactions(encoded, 1.0 + first))
    gc.collect()
    print(f"{'memory of a key of 256 bytes':34} {(process.memory_info().rss - before) / keys:9.0f} bytes")
    began = time.perf_counter()
    frozen = store.freeze()
    print(f"{'freeze':34} {(time.perf_counter() - began) * 1e3:9.2f} ms")
    chunks: list[bytes] = []
    encoder = threading.Thread(target=lambda: chunks.extend(frozen.chunks()))
    began = last = time.perf_counter()
    worst = 0.0
    encoder.start()
    number = 0
    while encoder.is_alive():  # an event loop that goes on applying
        number += 1
        data = encode_transactions([codec.encode(each) for each in transactions(number, 1)], 1.0)
        store.apply(store.index + 1, 1, data)
        time.sleep(0.0005)
        now = time.perf_counter()
        worst, last = max(worst, now - last), now
    size = sum(map(len, chunks))
    print(f"{'encode the snapshot':34} {last - began:9.2f} s, {size / 1e6:.0f} MB, {number} writes meanwhile")
    print(f"{'longest pause meanwhile':34} {worst * 1e3:9.2f} ms")
    began = time.perf_counter()
    read = read_snapshot(chunks)
    print(f"{'read the snapshot':34} {time.perf_counter() - began:9.2f} s")
    began = time.perf_counter()
    Store().adopt(read)
    print(f"{'adopt it':34} {(time.perf_counter() - began) * 1e3:9.2f} ms")


if __name__ == "__main__":
    costs()
    pauses(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
