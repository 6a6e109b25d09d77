"""The standing thread on which a node's disk work is done, so that an fsync never stops the event loop.

One thread, one queue: what is given first is done first, and the log is never touched by two at once. A round trip costs
less than trio's own thread pool, and a pipe wakes the loop in fewer steps than trio's own entry queue:
that matters where every acknowledged write waits for one.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

import attrs
import outcome
import trio

T = TypeVar("T")

JOBS_MAX = 1024  # waiting or at work


class DiskOverloaded(Exception):
    """More work waits for the disk than JOBS_MAX: it hangs, or somebody does not wait for it."""


Done = Callable[[outcome.Outcome[Any]], None]


@attrs.define(eq=False)
class Job:
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    done: Done | None = None  # None: whoever asked does not wait any more


class DiskWorker:
    """`async with DiskWorker() as disk: await disk.run(storage.write, write)`."""

    def __init__(self, name: str = "disk") -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._waiting = 0
        self._finished: deque[tuple[Job, outcome.Outcome[Any]]] = deque()
        self._woken, self._wake = -1, -1  # the two ends of the pipe: the loop's, and the thread's
        self._listening = trio.CancelScope()
        self._thread = threading.Thread(
            target=self._work, name=name, daemon=True
        )  # a hung disk must not hold the process

    async def __aenter__(self) -> DiskWorker:
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        trio.lowlevel.spawn_system_task(self._listen)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._jobs.put(None)
        self._listening.cancel()

    @property
    def waiting(self) -> int:
        """Jobs that are not done yet."""
        return self._waiting

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Does the work after everything that was given before, and answers or raises as it did. Cancelled, the work is
        done nevertheless and its outcome dropped. Raises DiskOverloaded."""
        await trio.lowlevel.checkpoint_if_cancelled()
        job = Job(work, arguments, partial(trio.lowlevel.reschedule, trio.lowlevel.current_task()))
        self._put(job)

        def abort(_: Any) -> trio.lowlevel.Abort:
            job.done = None
            return trio.lowlevel.Abort.SUCCEEDED

        result: T = await trio.lowlevel.wait_task_rescheduled(abort)
        return result

    def begin(self, done: Done, work: Callable[..., Any], *arguments: Any) -> None:
        """The same without a task that waits: `done` is called in the event loop with the outcome, and must not raise.
        Raises DiskOverloaded."""
        self._put(Job(work, arguments, done))

    def _put(self, job: Job) -> None:
        if self._waiting >= JOBS_MAX:
            raise DiskOverloaded(f"{self._waiting} jobs wait for the disk, at most {JOBS_MAX} may")
        self._waiting += 1
        self._jobs.put(job)

    def _work(self) -> None:
        """The thread. The end of the pipe is its own: it may outlive the loop."""
        try:
            while (job := self._jobs.get()) is not None:
                self._finished.append((job, outcome.capture(job.work, *job.arguments)))
                os.write(self._wake, b"!")
        except BrokenPipeError:
            pass  # nobody is left to tell
        finally:
            os.close(self._wake)

    async def _listen(self) -> None:
        """In the event loop: one wake-up tells all that is finished by then."""
        try:
            with self._listening:
                while True:
                    await trio.lowlevel.wait_readable(self._woken)
                    os.read(self._woken, JOBS_MAX)
                    while self._finished:
                        self._done(*self._finished.popleft())
        finally:
            os.close(self._woken)

    def _done(self, job: Job, result: outcome.Outcome[Any]) -> None:
        """In the event loop."""
        self._waiting -= 1
        if job.done is not None:
            job.done(result)
