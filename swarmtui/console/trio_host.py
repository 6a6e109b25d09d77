"""The one place where trio and asyncio meet: trio as a guest on Textual's loop.

Textual runs on asyncio, the client on trio. `trio.lowlevel.start_guest_run` lets trio schedule its tasks through the loop
of the host, in the same thread, so that a plain function call is all it takes to hand something over:

- trio to Textual: a synchronous call (`sink(observation)`), never an awaitable of Textual;
- Textual to trio: `ask(function)` puts the function into a channel; a task of its own runs it in trio and fulfils an asyncio
  future, which the caller awaits.

Rules that were paid for: one guest run at a time in a thread; it is told that the host owns the wakeup descriptor, else the
signal handlers of both collide; it has to be over before the loop closes, so `stop` cancels and waits, but never longer
than STOP_SECONDS, lest a badly shielded task should hang the way out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio
from outcome import Error, Outcome

STOP_SECONDS = 2.0
QUESTIONS_MAX = 100  # asked and not yet begun

T = TypeVar("T")
Main = Callable[[], Awaitable[None]]


class TrioStopped(Exception):
    """trio is not running (any more): nothing can be asked of it."""


class TrioHost:
    """Runs one trio main on the asyncio loop that is running. `ended(error)` is called once, when it is over: with None
    after `stop`, else with what it failed of."""

    def __init__(self, ended: Callable[[BaseException | None], None]) -> None:
        self._ended = ended
        self._scope: trio.CancelScope | None = None
        self._done: asyncio.Future[None] | None = None
        self._open: set[asyncio.Future[Any]] = set()  # asked and not answered
        self._send: trio.MemorySendChannel[tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any]]] | None = None

    def start(self, main: Main) -> None:
        """Begin to run `main` in trio. Call it from the loop, once it runs."""
        loop = asyncio.get_running_loop()
        self._done = loop.create_future()
        self._scope = trio.CancelScope()
        self._send, questions = trio.open_memory_channel[tuple[Callable[[], Awaitable[Any]], "asyncio.Future[Any]"]](
            QUESTIONS_MAX
        )

        async def guarded() -> None:
            assert self._scope is not None
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._answer, questions, nursery)
                    await main()
                    nursery.cancel_scope.cancel()

        trio.lowlevel.start_guest_run(
            guarded,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            run_sync_soon_not_threadsafe=loop.call_soon,
            done_callback=self._over,
            host_uses_signal_set_wakeup_fd=True,
        )

    def _over(self, outcome: Outcome[None]) -> None:
        self._send = None
        for future in tuple(self._open):  # also those whose question never left the channel
            if not future.done():
                future.set_exception(TrioStopped("the connection to the cluster has ended"))
        assert self._done is not None
        if not self._done.done():
            self._done.set_result(None)
        self._ended(outcome.error if isinstance(outcome, Error) else None)

    async def _answer(
        self,
        questions: trio.MemoryReceiveChannel[tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any]]],
        nursery: trio.Nursery,
    ) -> None:
        async with questions:
            async for function, future in questions:
                nursery.start_soon(self._carry_out, function, future)

    @staticmethod
    async def _carry_out(function: Callable[[], Awaitable[Any]], future: asyncio.Future[Any]) -> None:
        try:
            value = await function()
        except Exception as error:  # the asker's to judge; the other tasks go on
            if not future.done():
                future.set_exception(error)
        except BaseException:  # cancelled: we are leaving
            if not future.done():
                future.set_exception(TrioStopped("the console is leaving"))
            raise
        else:
            if not future.done():
                future.set_result(value)

    async def ask(self, function: Callable[[], Awaitable[T]]) -> T:
        """Run an async function in trio and wait, in asyncio, for what it returns or raises."""
        if self._send is None:
            raise TrioStopped("the connection to the cluster is not running")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        try:
            self._send.send_nowait((function, future))
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            future.cancel()
            raise TrioStopped("the connection to the cluster takes no more questions") from error
        return await future

    async def stop(self) -> None:
        """Cancel everything in trio and wait until it is over, at most STOP_SECONDS."""
        if self._done is None or self._scope is None:
            return
        self._scope.cancel()
        try:
            await asyncio.wait_for(asyncio.shield(self._done), STOP_SECONDS)
        except TimeoutError:
            return  # left behind by its own fault; the process ends anyway
