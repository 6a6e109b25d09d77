"""Putting together what several tasks wrote, in the order of its times: what was written before, and what comes.

Past    held until every task has told what it wrote before, or somebody's patience is over
Live    held for a moment, so that the nodes may be heard that answer a little later
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import attrs
import trio

from swarmtui.wire.node_calls import OutputLine

if TYPE_CHECKING:
    from swarmtui.commands.task_output import Source

ORDER_S = 0.05  # that a new line is held for those of other tasks which were written before it

Show = Callable[["Source", OutputLine], None]


class Past:
    """What tasks wrote before now, held until all of it has come, or somebody's patience is over, and then shown in the
    order of its times. A task whose past is here is read no further until then, so no more than the tails is held."""

    def __init__(self, show: Show, sources: Iterable[Source]) -> None:
        self._show = show
        self._missing = {source.task.id for source in sources}
        self._lines: list[tuple[Source, OutputLine]] = []
        self._all_here = trio.Event()
        self._shown = trio.Event()

    def holds_up(self, source: Source) -> bool:
        """What this task says belongs to the past."""
        return source.task.id in self._missing and not self._shown.is_set()

    def hold(self, source: Source, lines: Iterable[OutputLine]) -> None:
        self._lines += [(source, line) for line in lines]

    async def is_here(self, source: Source) -> None:
        """All that this task wrote before has come: waits until the past is shown."""
        self._missing.discard(source.task.id)
        if not self._missing:
            self._all_here.set()
        await self._shown.wait()

    async def show_when_here(self, patience_s: float) -> None:
        if self._missing:
            with trio.move_on_after(patience_s):
                await self._all_here.wait()
        self.show()

    def show(self) -> None:
        for source, line in sorted(self._lines, key=lambda held: held[1].time):
            self._show(source, line)
        self._lines.clear()
        self._shown.set()


@attrs.define
class Live:
    """What tasks write now: each line is held for a moment, and shown after those that were written before it and came later.
    Those of one task stay in their order, whatever its clock did."""

    show: Show
    _held: list[_HeldLine] = attrs.field(factory=list)
    _latest: dict[str, float] = attrs.field(factory=dict)  # time of a line, by task
    _bell: trio.Event = attrs.field(factory=trio.Event)

    def hold(self, source: Source, lines: Iterable[OutputLine]) -> None:
        for line in lines:
            time = max(line.time, self._latest.get(source.task.id, 0.0))
            self._latest[source.task.id] = time
            self._held.append(_HeldLine(trio.current_time(), time, source, line))
        if self._held:
            self._bell.set()

    async def run(self) -> None:
        """Until cancelled; then what is held is shown at once."""
        try:
            while True:
                await self._bell.wait()
                oldest = self._held[0].came_at
                await trio.sleep_until(oldest + ORDER_S)
                self._show_what_came_by(oldest)
        finally:
            self._show_what_came_by(math.inf)

    def _show_what_came_by(self, moment: float) -> None:
        """And what was written before any of that."""
        newest = max((held.time for held in self._held if held.came_at <= moment), default=-math.inf)
        ripe = [held for held in self._held if held.time <= newest]
        self._held = [held for held in self._held if held.time > newest]
        for held in sorted(ripe, key=lambda held: held.time):
            self.show(held.source, held.line)
        if not self._held:
            self._bell = trio.Event()


@attrs.frozen
class _HeldLine:
    came_at: float
    time: float  # it was written, or the line before it
    source: Source
    line: OutputLine
