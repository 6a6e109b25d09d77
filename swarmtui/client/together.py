"""What several tasks ask for in the same moment leaves in one call: the first of them lets everybody who is awake have a turn.

For a thousand tasks that is what makes a few calls of a thousand questions. A call that is full leaves before the moment is
over. A task that is alone would only wait for nobody: if it was sent for alone, and nobody else has been sent for or answered
since, it is sent for at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import trio

T = TypeVar("T")


class Together(Generic[T]):
    """`send` is called with what was asked for in one moment, in that order: with `full` of it, or with what there is when
    everybody has had a turn. Never waits for an answer."""

    def __init__(self, send: Callable[[list[T]], None], full: int) -> None:
        self.full = full
        self._send = send
        self._joined: list[T] = []
        self._lone: trio.lowlevel.Task | None = None

    def join(self, item: T) -> bool:
        """True if it has been sent, or somebody was first and sends for all; else who asks is the first, and goes on with
        `lead`."""
        if self._joined:
            self._joined.append(item)
            if len(self._joined) >= self.full:
                self._leave()
        elif trio.lowlevel.current_task() is self._lone:
            self._send([item])
        else:
            return False
        return True

    async def lead(self, item: T) -> None:
        """Returns when it is sent, with whatever others ask for meanwhile. Cancelled at once or not at all."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._joined.append(item)
        await trio.lowlevel.cancel_shielded_checkpoint()
        if self._joined:  # else they left, being full
            is_alone = len(self._joined) == 1 and self._joined[0] is item
            self._leave()
            if is_alone:
                self._lone = trio.lowlevel.current_task()

    @property
    def is_gathering(self) -> bool:
        """Somebody was first, and sends for all who join now."""
        return bool(self._joined)

    def _leave(self) -> None:
        joined, self._joined = self._joined, []
        self._lone = None
        self._send(joined)

    def answered(self, count: int) -> None:
        """So many tasks have an answer and are about to wake up: if they are several, they may ask together again."""
        if count != 1:
            self._lone = None
