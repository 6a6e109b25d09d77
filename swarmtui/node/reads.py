"""Linearizable reads: who waits for a read index, answered by the core's ReadReady and ReadRefused.

All who ask before the core is next drained share one ticket, and the core lets many tickets share one quorum round. Who asks
while no other read is under way is alone: nobody would be there to share with, and it leaves at once.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from swarmtui.node.bell import Promise
from swarmtui.raft.effects import ReadReady, ReadRefused
from swarmtui.raft.inputs import ReadAsked

RETRY_S = 0.02  # after a refusal for want of a leader, until the caller's patience ends


Told = Callable[[str], None]
"""Told once: "" if the local state may serve a linearizable read now, else why not."""


class Reads:
    """`ask` hands a question to the core; its second argument says whether it is alone."""

    def __init__(self, ask: Callable[[ReadAsked, bool], None]) -> None:
        self._ask = ask
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
        """Ask once, without a task that waits; `told` is perhaps called before this returns."""
        if self._joining is not None:
            self._joining.append(told)
            return
        is_alone = not self._waiting
        self._ticket += 1
        self._joining = self._waiting[self._ticket] = [told]
        self._ask(ReadAsked(self._ticket), is_alone)

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
