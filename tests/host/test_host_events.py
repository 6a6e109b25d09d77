"""The host's ring of events, its log, and files that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from swarmtui.host import log as log_module
from swarmtui.host.events import EVENTS_MAX, EventRing
from swarmtui.host.files import LAST_WORDS_MAX, last_line
from swarmtui.host.identity import ProcessName
from swarmtui.host.log import HostLog
from swarmtui.objects.events import Event


async def take(ring: EventRing, after_seq: int, count: int) -> list[Event]:
    found: list[Event] = []
    with trio.fail_after(10):
        async for event in ring.read(after_seq):
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_readers_begin_where_they_say() -> None:
    ring = EventRing(wall=lambda: 7.0)
    for number in range(5):
        ring.emit("host", f"event {number}", data={"number": number})
    assert [event.seq for event in await take(ring, -1, 5)] == [1, 2, 3, 4, 5]
    assert [event.seq for event in await take(ring, 3, 2)] == [4, 5]
    assert [event.seq for event in await take(ring, 77, 1)] == [1]  # an earlier host's number
    assert (await take(ring, 4, 1))[0] == Event(7.0, "host", 5, "host", "event 4", data={"number": 4})


async def test_a_reader_from_now_on_waits_for_the_next(nursery: trio.Nursery) -> None:
    ring = EventRing()
    ring.emit("host", "before")
    found: list[str] = []

    async def read() -> None:
        async for event in ring.read(0):
            found.append(event.text)  # noqa: PERF401 one by one, for it never ends

    nursery.start_soon(read)
    await trio.testing.wait_all_tasks_blocked()
    ring.emit("host", "after")
    await trio.testing.wait_all_tasks_blocked()
    assert found == ["after"]
    nursery.cancel_scope.cancel()


async def test_what_was_missed_is_an_event() -> None:
    ring = EventRing()
    for _ in range(EVENTS_MAX + 10):
        ring.emit("host", "one of many")
    first, second = await take(ring, 3, 2)
    assert (first.kind, first.text, first.seq) == ("gap", "7 events of the host were missed", 10)
    assert second.seq == 11
    assert (await take(ring, -1, 1))[0].seq == 11


def test_the_log_rotates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "HOST_LOG_BYTES_MAX", 100)
    kept = os.dup(1), os.dup(2)
    try:
        log = HostLog(tmp_path / "host.log")
        log.open()
        for number in range(5):
            log.write(f"line {number} " + "x" * 60, 0.0)
    finally:
        for standard, copy in enumerate(kept, start=1):
            os.dup2(copy, standard)
            os.close(copy)
    assert last_line(tmp_path / "host.log").split()[2:4] == ["line", "4"]
    assert (tmp_path / "host.log.1").exists()
    assert (tmp_path / "host.log").stat().st_size <= 200


def test_last_line_is_the_last_that_says_something(tmp_path: Path) -> None:
    path = tmp_path / "some.log"
    assert last_line(path) == ""
    path.write_bytes(b"one\n\xff two " + b"x" * LAST_WORDS_MAX + b"\n\n  \n")
    assert last_line(path).startswith("\ufffd two x")
    assert len(last_line(path)) == LAST_WORDS_MAX


def test_a_process_is_named_by_more_than_its_pid() -> None:
    own = ProcessName.of(os.getpid())
    assert own is not None
    found = own.find()
    assert found is not None
    assert found.pid == os.getpid()
    assert ProcessName(own.pid, own.start_time - 10, own.boot_id).find() is None
    assert ProcessName(own.pid, own.start_time, "another").find() is None
    assert ProcessName(1, own.start_time, own.boot_id).find() is None
