"""Watches the sockets of all connections of one event loop, and calls whoever hears on one when something has come.

One task does it for all. With a task for each, a message costs a scheduling, a resumption through every layer and a new
registration with the kernel, and of a hundred clients with one request each that is what a manager would do most. Nothing
is read or written here: whoever is called does.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Sequence
from typing import NoReturn

import attrs
import outcome
import trio

SLICE_S = 0.01  # of calls between two chances for everybody else to run: a flood over many connections is no reason to be silent

_ALL: trio.lowlevel.RunVar[Arrivals] = trio.lowlevel.RunVar("arrivals")


@attrs.define(eq=False)
class _Hearer:
    """`task` waits for the `result`, which is there when nothing more shall be told to `arrived`."""

    sock: socket.socket
    arrived: Callable[[], bool]
    task: trio.lowlevel.Task
    is_called: bool = False
    result: outcome.Outcome[None] | None = None

    @property
    def is_over(self) -> bool:
        return self.result is not None

    def go_on(self) -> None:
        trio.lowlevel.reschedule(self.task, self.result)  # type: ignore[arg-type]


class Arrivals:
    """Those of the running event loop: `arrivals()`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        trio.lowlevel.spawn_system_task(self._watch)

    async def hear(self, sock: socket.socket, arrived: Callable[[], bool]) -> None:
        """Call `arrived` whenever this socket can be read, until that returns True. Raises what it raises, and
        trio.ClosedResourceError when the socket is about to be closed here."""
        hearer = _Hearer(sock, arrived, trio.lowlevel.current_task())
        self._selector.register(sock, selectors.EVENT_READ, hearer)

        def abort(raise_cancel: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
            if hearer.is_called:  # what comes of that may not get lost
                self._end(hearer, outcome.capture(raise_cancel))
                return trio.lowlevel.Abort.FAILED
            self._selector.unregister(sock)
            hearer.result = outcome.Value(None)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def closing(self, sock: socket.socket) -> None:
        """Before a socket is closed, for its number may be the next one's, which nobody here shall be told about."""
        key = self._selector.get_map().get(sock)
        if key is not None:
            self._end(key.data, outcome.Error(trio.ClosedResourceError("this stream was closed")))

    def _end(self, hearer: _Hearer, result: outcome.Outcome[None]) -> None:
        """Of several results the last one counts."""
        if not hearer.is_over:
            self._selector.unregister(hearer.sock)
        hearer.result = result
        if not hearer.is_called:
            hearer.go_on()

    async def _watch(self) -> None:
        """A selector is itself something that can be read when one of its sockets can."""
        number = self._selector.fileno()
        try:
            while True:
                await trio.lowlevel.wait_readable(number)
                ready = self._selector.select(0)
                if len(ready) == 1:
                    self._call(ready[0][0].data)
                else:
                    await self._call_each([key.data for key, _ in ready])
        finally:
            self._selector.close()

    async def _call_each(self, hearers: Sequence[_Hearer]) -> None:
        slice_ends_at = trio.current_time() + SLICE_S
        for hearer in hearers:
            if not hearer.is_over:  # else by somebody who was called before it, or in a pause
                self._call(hearer)
            if trio.current_time() > slice_ends_at:
                await trio.lowlevel.checkpoint()
                slice_ends_at = trio.current_time() + SLICE_S

    def _call(self, hearer: _Hearer) -> None:
        hearer.is_called = True
        try:
            if hearer.arrived():
                self._end(hearer, outcome.Value(None))
        except Exception as error:
            self._end(hearer, outcome.Error(error))
        hearer.is_called = False
        if hearer.is_over:
            hearer.go_on()


def arrivals() -> Arrivals:
    """Those of the event loop that is running."""
    try:
        return _ALL.get()
    except LookupError:
        found = Arrivals()
        _ALL.set(found)
        return found
