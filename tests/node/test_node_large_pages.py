"""Memory moves to large pages where that takes none and stops nothing, and on a machine without them nothing happens."""

from __future__ import annotations

import itertools
import mmap
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import pytest
import trio
from trio.testing import MockClock

from swarmtui.node import large_pages as room
from swarmtui.node.large_pages import LOOK_EVERY_S, REST_MAX_S, RESTS, HeapMover, heap_pages, move_heap
from swarmtui.node.manager_side import ManagerSide
from swarmtui.storage.worker import DiskWorker
from tests.node.conftest import AtOnce

LIMIT_S = 20.0
MADE_BYTES = 64 * 1024 * 1024
LARGE_BYTES = 2 * 1024 * 1024
SOME_BYTES = 6 * 1024 * 1024
"""Both ends of what is made may be no whole large page, and the interpreter goes on living meanwhile."""


@contextmanager
def made(every_bytes: int = mmap.PAGESIZE) -> Iterator[None]:
    """Memory of ours, one small page written every so many bytes."""
    memory = mmap.mmap(-1, MADE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, MADE_BYTES, every_bytes):
        memory[at] = 1
    yield
    memory.close()


@contextmanager
def copied() -> Iterator[None]:
    """Another process that shares all our memory."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(theirs)
        os.read(ours, 1)  # until the other end is closed
        os._exit(0)
    os.close(ours)
    yield
    os.close(theirs)
    os.waitpid(child, 0)


def bytes_of(what: str) -> int:
    """Of this process, as the system counts them."""
    found = re.search(rf"^{what}: +(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def moved() -> tuple[int, int]:
    """By how much a move adds to the memory on large pages, and to that in use."""
    large, used = bytes_of("AnonHugePages"), bytes_of("Rss")
    for _ in move_heap():
        continue
    return bytes_of("AnonHugePages") - large, bytes_of("Rss") - used


@pytest.fixture
def _on_large_pages() -> None:
    """All that was here before is where it can be. Some machines cannot."""
    if not room._SIZE.exists() or int(room._SIZE.read_text()) != LARGE_BYTES:
        pytest.skip("no large pages of 2 MiB here")
    with made():
        large, _ = moved()
    if not large:
        pytest.skip("the kernel here does not move on demand: Linux 6.1 does")


@pytest.mark.usefixtures("_on_large_pages")
def test_what_is_full_moves() -> None:
    with made():
        large, used = moved()
    assert large > MADE_BYTES - SOME_BYTES
    assert used < SOME_BYTES


@pytest.mark.usefixtures("_on_large_pages")
def test_holes_are_not_filled() -> None:
    with made(every_bytes=2 * mmap.PAGESIZE):
        large, used = moved()
    assert large < SOME_BYTES
    assert used < SOME_BYTES


@pytest.mark.usefixtures("_on_large_pages")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_what_is_shared_with_a_copy_of_the_process_stays_shared() -> None:
    with made():
        with copied():
            large, _ = moved()
        assert large < SOME_BYTES
        large, _ = moved()
        assert large > MADE_BYTES - SOME_BYTES


def test_without_large_pages_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(room, "_SIZE", tmp_path / "absent")
    assert list(move_heap()) == []
    assert heap_pages() == 0


def test_where_the_system_does_not_tell_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(room, "_PAGE_MAP", tmp_path / "absent")
    assert list(move_heap()) == []


@pytest.mark.usefixtures("_on_large_pages")
def test_a_kernel_that_knows_no_such_wish_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def move(address: int, size: int) -> bool:
        asked.append(address)
        return known(address, size)

    known = room._move
    monkeypatch.setattr(room, "_move", move)
    monkeypatch.setattr(room, "_MADV_COLLAPSE", 9999)
    with made():
        large, _ = moved()
    assert large < SOME_BYTES
    assert len(asked) == 1


class Heap:
    """One that is as large as the test says. It has three pages to move, and notes when each of them did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step_s: float = 0.001) -> None:
        self.pages = 100
        self.moves: list[float] = []
        self._step_s = step_s
        monkeypatch.setattr(room, "heap_pages", lambda: self.pages)
        monkeypatch.setattr(room, "move_heap", lambda: iter([None] * 3))
        monkeypatch.setattr(room, "_step", self._step)

    def _step(self, steps: Iterator[None]) -> float | None:
        for _ in steps:
            self.moves.append(trio.current_time())
            return self._step_s
        return None

    async def moves_within(self, seconds: float) -> int:
        before = len(self.moves)
        await trio.sleep(seconds)
        return len(self.moves) - before


@pytest.mark.parametrize("step_s", [0.001, 0.006, 3.0])
async def test_between_two_pages_it_rests(
    step_s: float, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery
) -> None:
    """Page after page, half of the time, stopped the writes of a cluster with a million keys for up to 150 ms."""
    heap = Heap(monkeypatch, step_s)
    nursery.start_soon(HeapMover(cast(Any, AtOnce())).run)
    assert await heap.moves_within(LOOK_EVERY_S / 2) == 3
    rests = [later - earlier for earlier, later in itertools.pairwise(heap.moves)]
    assert rests == pytest.approx([min(RESTS * step_s, REST_MAX_S)] * 2)
    assert RESTS >= 20


async def test_the_heap_moves_once_recovery_has_read_and_again_when_it_has_grown(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery
) -> None:
    """What lives on a heap of one size leaves holes and fills them: all of it again with each snapshot was moved in vain."""
    heap, mover = Heap(monkeypatch), HeapMover(cast(Any, AtOnce()))
    nursery.start_soon(mover.run)
    assert await heap.moves_within(LOOK_EVERY_S / 2) == 3
    assert await heap.moves_within(10 * LOOK_EVERY_S) == 0
    heap.pages = 124
    assert await heap.moves_within(10 * LOOK_EVERY_S) == 0
    heap.pages = 126
    assert await heap.moves_within(10 * LOOK_EVERY_S) == 3
    heap.pages = 100
    assert await heap.moves_within(10 * LOOK_EVERY_S) == 0
    mover.replaced()
    assert await heap.moves_within(10 * LOOK_EVERY_S) == 3


@pytest.mark.usefixtures("_on_large_pages")
async def test_a_mover_at_its_worker_moves_what_is_full(monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery) -> None:
    monkeypatch.setattr(room, "RESTS", 0)
    large = bytes_of("AnonHugePages")
    with made():
        async with DiskWorker() as worker:
            nursery.start_soon(HeapMover(worker).run)
            with trio.fail_after(LIMIT_S):
                while bytes_of("AnonHugePages") - large < MADE_BYTES - SOME_BYTES:
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()


async def test_a_manager_moves_its_heap_as_long_as_it_runs(nursery: trio.Nursery) -> None:
    """Or what recovery has read, a million keys perhaps, would be found more slowly for ever."""
    running: list[str] = []

    def room_that_runs(name: str) -> Mock:
        async def run(*arguments: object) -> None:
            running.append(name)
            await trio.sleep_forever()

        return Mock(run=run)

    names = ("disk", "consensus", "keeper", "compaction", "_heap_mover")
    side = Mock(_is_first=False, _watch_disk=trio.sleep_forever, **{name: room_that_runs(name) for name in names})
    await nursery.start(ManagerSide.run, side, lambda: None)
    await trio.testing.wait_all_tasks_blocked()
    assert sorted(running) == sorted(names)
