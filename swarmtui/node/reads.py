"""Linearizable reads: who waits for a read index, answered by the core's ReadReady and ReadRefused.

All who ask before the core is next drained share one ticket, and the core lets many tickets share one quorum round.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from swarmtui.node.bell import Promise
from swarmtui.raft.effects import ReadReady, ReadRefused
from swarmtui.raft.inputs import Input, ReadAsked

RETRY_S = 0.02  # after a refusal for want of a leader, until the caller's patience ends


class Reads:
    def __init__(self, feed: Callable[[Input], None]) -> None:
        self._feed = feed
        self._waiting: dict[int, Promise[str]] = {}
        self._joining: Promise[str] | None = None
        self._ticket = 0

    async def confirm(self, patience_s: float) -> str:
        """Wait until the local state may serve a linearizable read. Returns "" then, else why it may not."""
        reason = "no leader answered in time"
        with trio.move_on_after(patience_s):
            while True:
                reason = await self._round()
                if not reason:
                    return ""
                await trio.sleep(RETRY_S)
        return reason

    async def _round(self) -> str:
        promise = self._joining
        if promise is None:
            promise = self._joining = Promise()
            self._ticket += 1
            self._waiting[self._ticket] = promise
            self._feed(ReadAsked(self._ticket))
        return await promise.value()

    def drained(self) -> None:
        """The core has taken the last ticket: whoever asks from now on needs a new one."""
        self._joining = None

    def settle(self, effect: ReadReady | ReadRefused) -> None:
        promise = self._waiting.pop(effect.ticket, None)
        if promise is not None:
            promise.keep("" if isinstance(effect, ReadReady) else effect.reason)
