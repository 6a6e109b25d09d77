"""`python tests/bench/bench_disk.py [DIRECTORY]`: what the log costs on this disk, beside a bare write and fdatasync.

Prints the median and the 99th percentile of durable batches of 1, 10 and 100 entries of 256 bytes, the same without the
sync (Python's own part), and how long a log of 100,000 entries takes to recover, written a hundred at a time and one by
one (a frame and a checksum for each: the worst case).
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.effects import HardState, Write
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.storage.files import RealFile, RealFiles
from swarmtui.storage.log import RaftStorage

VALUE = os.urandom(256)
BATCHES = (1, 10, 100)
ROUNDS = 300
RECOVERED = 100_000
CONFIGURATION = Configuration((Member("n1", "n1", "127.0.0.1:1"),))


class UnsyncedFile(RealFile):
    def sync(self) -> None:
        """Left out."""

    def write_durably_at(self, data: bytes, offset: int) -> None:
        self.write_at(data, offset)


class UnsyncedFiles(RealFiles):
    def create(self, path: Path, size: int) -> RealFile:
        return UnsyncedFile(super().create(path, size)._descriptor)

    def open(self, path: Path) -> RealFile:
        return UnsyncedFile(super().open(path)._descriptor)


class Bench:
    """A log that is written batch by batch."""

    def __init__(self, path: Path, files: RealFiles) -> None:
        RaftStorage.create(path, "n1", CONFIGURATION, file_ops=files)
        self.storage = RaftStorage.open(path, "n1", file_ops=files)
        self.last = 1
        self.sequence = 0

    def write(self, count: int) -> None:
        entries = tuple(Entry(self.last + at, 1, EntryKind.TRANSACTIONS, VALUE) for at in range(1, count + 1))
        self.last += count
        self.sequence += 1
        self.storage.write(Write(self.sequence, HardState(1, "n1", self.last), None, entries))


def percentiles(what: str, work: Callable[[], None]) -> None:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1e6)
    times.sort()
    print(f"{what:34} {times[len(times) // 2]:9.0f} us  p99 {times[len(times) * 99 // 100]:9.0f} us")


def bare(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    offset = 0

    def write() -> None:
        nonlocal offset
        os.pwrite(descriptor, VALUE, offset)
        os.fdatasync(descriptor)
        offset += len(VALUE)

    percentiles("256 bytes and fdatasync", write)
    os.close(descriptor)


def main(directory: str | None) -> None:
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        root = Path(temporary)
        bare(root / "bare")
        log = Bench(root / "raft", RealFiles())
        for count in BATCHES:
            percentiles(f"durable batch of {count}", lambda count=count: log.write(count))
        quick = Bench(root / "quick", UnsyncedFiles())
        for count in BATCHES:
            percentiles(f"batch of {count}, not synced", lambda count=count: quick.write(count))
        quick.storage.close()
        for batch in (100, 1):
            recovery(root / f"batches of {batch}", batch)


def recovery(path: Path, batch: int) -> None:
    log = Bench(path, UnsyncedFiles())
    while log.last < RECOVERED:
        log.write(batch)
    log.storage.close()
    began = time.perf_counter()
    entries = len(RaftStorage.open(path, "n1").restored.entries)
    print(f"{f'recovery of {entries}, written by {batch}':34} {(time.perf_counter() - began) * 1e3:9.0f} ms")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
