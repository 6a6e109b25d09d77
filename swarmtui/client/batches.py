"""Keys that several tasks ask for in one moment, and these tasks, who are woken together.

A key is a place in its batch, and so are its value and the task that waits for it: no object is made for a read, of which a
process of a thousand tasks makes a hundred thousand a second. How they are asked for is not known here (`lookups`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

import attrs
import trio

from swarmtui.client.wishes import GO_ON
from swarmtui.objects.records import KeyValue


@attrs.define(eq=False)
class Batch:
    """`told`: of so many from the first on it is known what came of them. `values` are what there is, and may be fewer: of the
    rest nobody knows."""

    keys: list[str] = attrs.field(factory=list)
    values: list[KeyValue | None] = attrs.field(factory=list)
    told: int = 0
    _tasks: list[trio.lowlevel.Task | None] = attrs.field(factory=list, init=False)

    def __len__(self) -> int:
        return len(self.keys)

    def join(self, key: str) -> int:
        """Its place."""
        place = len(self.keys)
        self.keys.append(key)
        self._tasks.append(None)
        return place

    def wait(self, place: int) -> Awaitable[object]:
        """Until it is told, which it is not yet. By the task that joined there; one that is cancelled is woken no more."""
        self._tasks[place] = task = trio.lowlevel.current_task()
        task.custom_sleep_data = self  # trio takes it away from whoever wakes up
        return trio.lowlevel.wait_task_rescheduled(_give_up)  # noqa: ASYNC105 - by whoever calls this

    @property
    def left(self) -> int:
        """So many are to be told yet."""
        return len(self.keys) - self.told

    @property
    def untold(self) -> tuple[str, ...]:
        return tuple(self.keys[self.told :])

    def tell(self, values: Sequence[KeyValue | None]) -> None:
        """Of the next ones."""
        self.values += values
        self._wake(len(self.values))

    def tell_nothing(self) -> None:
        """Of all the others it will not be known."""
        self._wake(len(self.keys))

    def _wake(self, end: int) -> None:
        begin, self.told = self.told, end
        for task in self._tasks[begin:end]:
            if task is not None and task.custom_sleep_data is self:
                trio.lowlevel.reschedule(task, GO_ON)


def _give_up(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.SUCCEEDED
