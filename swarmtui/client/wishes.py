"""What one task asks for and waits for while others see to it: the wait, its end, and its being given up.

No event, for a thousand wishes may be settled by one answer: each is a parked task and nothing else. It knows neither what
is wished for nor what came of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Generator
from typing import TypeVar

import attrs
import trio
from outcome import Outcome

R = TypeVar("R")


class _GoOn(Outcome[None]):
    """What a task is woken with that has only to go on. One for all of them: an `outcome.Value` is made for one, and to make it
    costs a fifth of a wake-up."""

    def unwrap(self) -> None:
        return

    def send(self, gen: Generator[R, None, object]) -> R:
        return gen.send(None)

    async def asend(self, agen: AsyncGenerator[R, None]) -> R:
        return await agen.asend(None)


GO_ON = _GoOn()


@attrs.define(eq=False)
class Wish:
    """`abandoned`: whoever waited was cancelled, and nobody will look at what comes of it."""

    settled: bool = attrs.field(default=False, init=False)
    abandoned: bool = attrs.field(default=False, init=False)
    _task: trio.lowlevel.Task | None = attrs.field(default=None, init=False)

    def wait(self) -> Awaitable[None]:
        """Until it is settled, which it is not yet. By one task."""
        self._task = trio.lowlevel.current_task()
        return trio.lowlevel.wait_task_rescheduled(self._abandon)  # noqa: ASYNC105 - by whoever calls this

    def settle(self) -> None:
        """Whoever waits for it goes on."""
        self.settled = True
        task = self._task
        if task is not None:
            self._task = None
            trio.lowlevel.reschedule(task, GO_ON)

    def _abandon(self, _: object) -> trio.lowlevel.Abort:
        self._task, self.abandoned = None, True
        return trio.lowlevel.Abort.SUCCEEDED
