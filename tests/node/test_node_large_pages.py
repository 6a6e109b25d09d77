"""Memory moves to large pages where that takes none, and on a machine without them nothing happens."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from swarmtui.node import large_pages as room
from swarmtui.node.large_pages import move_heap

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
