"""The heap, moved to the machine's large pages: a few hundred of them are found faster than 100,000 small ones.

A write of one key among a million touches memory that no cache holds, and of small pages the processor does not even know any
more where they are. Under a hypervisor, which looks twice, that was 4 and 10 % of the writes with a thousand in flight.

Linux moves what it is asked to, from 6.1 on; elsewhere nothing happens. It asks for what is full: to fill holes would take
memory that was just given back, and what is shared with the process that this one was copied from stays shared.

A page is some milliseconds in which the kernel leaves a processor to nobody, more where a hypervisor has to find the memory for
it. All at once, with every snapshot, stopped the writes for 50 to 150 ms now and then. So it is moved a page at a time, with
long rests, and not before the heap has grown by a quarter: what lives on one size of heap is moved once.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import trio

from swarmtui.storage.worker import DiskWorker

LOOK_EVERY_S = 10.0
GROWN = 1.25  # times the heap that was moved last
RESTS = 20  # times as long as it moved: a twentieth of a processor
REST_MAX_S = 0.25
FULL_ENOUGH = 0.9  # of a large page: this much is in memory, and this process's alone
_SIZE = Path("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size")
_MAPS, _PAGE_MAP = Path("/proc/self/maps"), Path("/proc/self/pagemap")
_MARK_BYTES = 8  # of a page, in the page map
_IS_HERE, _IS_OURS_ALONE = 1 << 63, 1 << 56  # bits of a mark: proc_pid_pagemap(5)
_MADV_COLLAPSE = 25  # madvise(2)
_libc = ctypes.CDLL(None, use_errno=True)


class HeapMover:
    """Moves the heap of its process beside everything else, behind what else the worker has to do."""

    def __init__(self, worker: DiskWorker) -> None:
        self._worker = worker
        self._moved_pages = 0

    def replaced(self) -> None:
        """The heap holds another state than the one that was moved, and is not larger for it."""
        self._moved_pages = 0

    async def run(self) -> None:
        """Until cancelled. What recovery has read is moved first."""
        while True:
            pages = await self._worker.run(heap_pages)
            if pages > GROWN * self._moved_pages:
                self._moved_pages = pages
                await self._move_heap()
            await trio.sleep(LOOK_EVERY_S)

    async def _move_heap(self) -> None:
        steps = move_heap()
        while True:
            took_s = await self._worker.run(_step, steps)
            if took_s is None:
                return
            await trio.sleep(min(RESTS * took_s, REST_MAX_S))


def heap_pages() -> int:
    """How many large pages the heap could have; 0 where there are none."""
    try:
        return len(_large_pages(int(_SIZE.read_text())))
    except OSError:
        return 0


def move_heap() -> Iterator[None]:
    """A large page a step, for a thread beside the event loop: a step holds no lock of the interpreter while it moves."""
    try:
        size = int(_SIZE.read_text())
        with _PAGE_MAP.open("rb", buffering=0) as page_map:
            for address in _large_pages(size):
                if _is_full(page_map, address, size) and not _move(address, size):
                    return
                yield
    except OSError:
        return  # this system has no such pages, or tells nobody about its memory


def _step(steps: Iterator[None]) -> float | None:
    """Seconds that it took; None if there was none left."""
    began = time.monotonic()
    for _ in steps:
        return time.monotonic() - began
    return None


def _large_pages(size: int) -> list[int]:
    """The addresses of all that the heap could have, as it is now."""
    found: list[int] = []
    for line in _MAPS.read_text().splitlines():
        addresses, rights, _, _, inode, *name = line.split(maxsplit=5)
        if rights == "rw-p" and inode == "0" and (not name or name[0].startswith(("[heap", "[anon"))):
            begin, end = (int(address, 16) for address in addresses.split("-"))
            found.extend(range(-(-begin // size) * size, end - size + 1, size))
    return found


def _is_full(page_map: BinaryIO, address: int, size: int) -> bool:
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    page_map.seek(address // page_bytes * _MARK_BYTES)
    marks = array("Q", page_map.read(size // page_bytes * _MARK_BYTES))
    wanted = _IS_HERE | _IS_OURS_ALONE
    return sum(mark & wanted == wanted for mark in marks) * page_bytes >= FULL_ENOUGH * size


def _move(address: int, size: int) -> bool:
    """False if this kernel does not know how. That it has no room, or that the memory is gone by now, is no matter."""
    failed = _libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), _MADV_COLLAPSE)
    return not failed or ctypes.get_errno() != errno.EINVAL
