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


Told = Callable[[str], None]
"""Told once: "" if the local state may serve a linearizable read now, else why not."""


class Reads:
    def __init__(self, feed: Callable[[Input], None]) -> None:
        self._feed = feed
        self._waiting: dict[int, list[Told]] = {}  # by ticket
        self._joining: list[Told] | None = None
        self._ticket = 0

    async def confirm(self, patience_s: float) -> str:
        """Wait until the local state may serve a linearizable read. Returns "" then, else why it may not."""
        reason = "no leader answered in time"
        with trio.move_on_after(max(0.0, patience_s)):
            while True:
                promise: Promise[str] = Promise()
                self.begin(promise.keep)
                reason = await promise.value()
                if not reason:
                    return ""
                await trio.sleep(RETRY_S)
        return reason

    def begin(self, told: Told) -> None:
        """Ask once, without a task that waits."""
        if self._joining is None:
            self._ticket += 1
            self._joining = self._waiting[self._ticket] = []
            self._feed(ReadAsked(self._ticket))
        self._joining.append(told)

    def drained(self) -> None:
        """The core has taken the last ticket: whoever asks from now on needs a new one."""
        self._joining = None

    def settle(self, effect: ReadReady | ReadRefused) -> None:
        self._tell(effect.ticket, "" if isinstance(effect, ReadReady) else effect.reason)

    def abandon(self, why: str) -> None:
        """The core says nothing more."""
        self._joining = None
        for ticket in list(self._waiting):
            self._tell(ticket, why)

    def _tell(self, ticket: int, reason: str) -> None:
        for told in self._waiting.pop(ticket, ()):
            told(reason)
