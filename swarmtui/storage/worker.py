"""The standing thread on which a node's disk work is done, so that no fsync stops the event loop for long.

One thread, one queue: what is given first is done first, and the log is never touched by two at once. A round trip costs
less than trio's own thread pool, and a pipe wakes the loop in fewer steps than trio's own entry queue:
that matters where every acknowledged write waits for one. A good disk needs less time than it takes to put the loop to
sleep and wake it up again, so whoever has nothing to do without the outcome may wait for it where it stands (`attempt`): for
a moment, never for a disk that hangs.
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


class Meeting:
    """Where the loop waits for the thread. One of them comes too late, and both know which: to take the one token is one
    step of the interpreter."""

    __slots__ = ("_came", "_result", "_token")

    def __init__(self) -> None:
        self._token = [None]
        self._came = threading.Lock()
        self._came.acquire()
        self._result: outcome.Outcome[Any] | None = None

    def bring(self, result: outcome.Outcome[Any]) -> bool:
        """In the thread. False if nobody waits any more."""
        self._result = result
        if not self._take_token():
            return False
        self._came.release()
        return True

    def wait(self, patience_s: float) -> outcome.Outcome[Any] | None:
        """In the loop. None if the thread has not come by then; it will find that nobody waits."""
        if self._came.acquire(timeout=patience_s):
            return self._result
        if self._take_token():
            return None
        self._came.acquire()  # it comes this very moment
        return self._result

    def _take_token(self) -> bool:
        try:
            self._token.pop()
        except IndexError:
            return False
        return True


@attrs.define(eq=False)
class Job:
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    done: Done | None = None  # None: whoever asked does not wait any more
    meeting: Meeting | None = None  # where it waits first, if it does


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

    def attempt(
        self, done: Done, patience_s: float, work: Callable[..., Any], *arguments: Any
    ) -> outcome.Outcome[Any] | None:
        """As `begin`, but waits here, for at most `patience_s` in which the event loop stands still: the outcome if there is
        one by then, and `done` is not called. Behind other work, nothing is waited for. Raises DiskOverloaded."""
        if self._waiting:
            self.begin(done, work, *arguments)
            return None
        meeting = Meeting()
        self._put(Job(work, arguments, done, meeting))
        result = meeting.wait(patience_s)
        if result is not None:
            self._waiting -= 1
        return result

    def _put(self, job: Job) -> None:
        if self._waiting >= JOBS_MAX:
            raise DiskOverloaded(f"{self._waiting} jobs wait for the disk, at most {JOBS_MAX} may")
        self._waiting += 1
        self._jobs.put(job)

    def _work(self) -> None:
        """The thread. The end of the pipe is its own: it may outlive the loop."""
        try:
            while (job := self._jobs.get()) is not None:
                result = outcome.capture(job.work, *job.arguments)
                if job.meeting is None or not job.meeting.bring(result):
                    self._finished.append((job, result))
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
