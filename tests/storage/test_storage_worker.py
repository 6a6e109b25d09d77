"""The disk's thread: in order, one at a time, never in the event loop."""

from __future__ import annotations

import os
import threading
import time
from functools import partial

import outcome
import pytest
import trio

from swarmtui.storage import worker as worker_module
from swarmtui.storage.worker import DiskOverloaded, DiskWorker, Meeting


async def test_work_is_done_in_order_on_one_thread() -> None:
    done: list[int] = []
    threads: set[int] = set()

    def work(number: int) -> int:
        done.append(number)
        threads.add(threading.get_ident())
        return number * 2

    async def ask(number: int) -> None:
        answers.append(await disk.run(work, number))

    answers: list[int] = []
    async with DiskWorker() as disk:
        for number in range(20):  # given one by one, so that the order is ours
            await ask(number)
        async with trio.open_nursery() as nursery:
            for number in range(20, 40):
                nursery.start_soon(ask, number)
        assert disk.waiting == 0
    assert sorted(done) == list(range(40))
    assert done[:20] == list(range(20))
    assert sorted(answers) == [number * 2 for number in range(40)]
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_what_the_work_raises_is_raised_here() -> None:
    def work() -> None:
        raise ValueError("the disk is odd")

    async with DiskWorker() as disk:
        with pytest.raises(ValueError, match="the disk is odd"):
            await disk.run(work)
        assert await disk.run(lambda: 7) == 7


async def test_the_event_loop_goes_on_while_the_disk_hangs() -> None:
    release = threading.Event()
    async with DiskWorker() as disk, trio.open_nursery() as nursery:
        nursery.start_soon(disk.run, release.wait)
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        assert disk.waiting == 1
        release.set()
    assert disk.waiting == 0


async def test_work_is_done_even_if_nobody_waits_any_more() -> None:
    release = threading.Event()
    done: list[str] = []
    async with DiskWorker() as disk:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(disk.run, release.wait)
            while disk.waiting < 1:  # tasks that are begun together begin in any order
                await trio.lowlevel.checkpoint()
            nursery.start_soon(disk.run, done.append, "written")
            while disk.waiting < 2:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert disk.waiting == 2
        release.set()
        await disk.run(done.append, "next")
    assert done == ["written", "next"]


async def test_too_much_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "JOBS_MAX", 2)
    release = threading.Event()
    async with DiskWorker() as disk, trio.open_nursery() as nursery:
        nursery.start_soon(disk.run, release.wait)
        nursery.start_soon(disk.run, release.wait)
        while disk.waiting < 2:
            await trio.lowlevel.checkpoint()
        with pytest.raises(DiskOverloaded, match="2 jobs wait for the disk"):
            await disk.run(release.wait)
        release.set()


async def test_a_worker_leaves_nothing_open_and_may_outlive_the_loop_that_it_served() -> None:
    release, began, ended = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        began.set()
        release.wait()
        ended.set()

    before = set(os.listdir("/proc/self/fd"))
    told: list[object] = []
    async with DiskWorker() as disk:
        disk.begin(told.append, hang)
        await trio.to_thread.run_sync(began.wait)
    release.set()
    await trio.to_thread.run_sync(disk._thread.join)
    with trio.fail_after(5):
        while set(os.listdir("/proc/self/fd")) - before:
            await trio.lowlevel.checkpoint()
    assert ended.is_set()
    assert told == []


async def test_what_is_finished_together_is_told_in_order() -> None:
    told: list[int] = []
    over = trio.Event()

    def tell(number: int, result: outcome.Outcome[int]) -> None:
        told.append(result.unwrap())
        if number == 99:
            over.set()

    async with DiskWorker() as disk:
        for number in range(100):
            disk.begin(partial(tell, number), lambda number=number: number)
        with trio.fail_after(5):
            await over.wait()
    assert told == list(range(100))


# ------------------------------------------------------------------------------------------- waited for, for a moment


async def test_what_is_done_soon_is_answered_where_it_was_asked_and_nowhere_else() -> None:
    told: list[object] = []
    async with DiskWorker() as disk:
        assert disk.attempt(told.append, 60.0, lambda: 7) == outcome.Value(7)
        failed = disk.attempt(told.append, 60.0, [].pop)
        assert isinstance(failed, outcome.Error)
        assert isinstance(failed.error, IndexError)
        assert disk.waiting == 0
        assert await disk.run(lambda: 8) == 8
    assert told == []


async def test_what_takes_longer_is_told_later_and_the_loop_goes_on_meanwhile() -> None:
    release, over = threading.Event(), trio.Event()
    told: list[outcome.Outcome[bool]] = []

    def tell(result: outcome.Outcome[bool]) -> None:
        told.append(result)
        over.set()

    async with DiskWorker() as disk:
        began = time.monotonic()
        assert disk.attempt(tell, 0.001, release.wait) is None
        assert time.monotonic() - began < 5
        await trio.lowlevel.checkpoint()
        assert (disk.waiting, told) == (1, [])
        release.set()
        with trio.fail_after(5):
            await over.wait()
        assert (disk.waiting, told) == (0, [outcome.Value(True)])


async def test_behind_other_work_nothing_is_waited_for() -> None:
    release, over = threading.Event(), trio.Event()
    done: list[str] = []
    async with DiskWorker() as disk:
        disk.begin(lambda result: done.append("first"), release.wait)
        began = time.monotonic()
        assert disk.attempt(lambda result: over.set(), 4.0, done.append, "second") is None
        assert time.monotonic() - began < 2
        assert done == []
        release.set()
        with trio.fail_after(5):
            await over.wait()
    assert sorted(done) == ["first", "second"]


async def test_whoever_comes_too_late_is_answered_once_all_the_same() -> None:
    """The patience is as long as the work, so that now the one is first, now the other."""
    at_once = later = 0

    def tell(number: int, result: outcome.Outcome[int]) -> None:
        nonlocal later
        assert result == outcome.Value(number)
        later += 1

    def work(number: int) -> int:
        end = time.perf_counter() + number % 20 * 10e-6
        while time.perf_counter() < end:
            pass
        return number

    async with DiskWorker() as disk:
        for number in range(3000):
            result = disk.attempt(partial(tell, number), number % 7 * 20e-6, work, number)
            if result is not None:
                assert result == outcome.Value(number)
                at_once += 1
            with trio.fail_after(5):
                while disk.waiting:
                    await trio.lowlevel.checkpoint()
        assert at_once + later == 3000
        assert min(at_once, later) > 0


def test_of_two_that_miss_each_other_both_know_it() -> None:
    meeting = Meeting()
    assert meeting.wait(0.0) is None
    assert not meeting.bring(outcome.Value(1))
    meeting = Meeting()
    assert meeting.bring(outcome.Value(1))
    assert meeting.wait(0.0) == outcome.Value(1)


def test_whoever_gives_up_in_the_moment_in_which_the_other_comes_takes_what_it_brings() -> None:
    """The thread has taken the token and has not yet come."""
    meeting = Meeting()
    meeting._token.clear()
    meeting._result = outcome.Value(1)
    threading.Timer(0.01, meeting._came.release).start()
    assert meeting.wait(0.0) == outcome.Value(1)
