"""What several tasks ask for in the same moment leaves in one call: the first of them lets everybody who is awake have a turn.

For a thousand tasks that is what makes a few calls of a thousand questions. A call that is full leaves before the moment is
over. A task that is alone would only wait for nobody: if it was sent for alone, and nobody else has been sent for or answered
since, it is sent for at once. What a batch is, and how one joins it, is for whoever asks to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Generic, TypeVar

import trio

B = TypeVar("B", bound=Sized)


class Together(Generic[B]):
    """`send` is called with the batch of one moment, when somebody who joined it finds it `full` (`leave`), or when everybody
    has had a turn. Never waits for an answer."""

    def __init__(self, send: Callable[[B], None], full: int) -> None:
        self.full = full
        self.gathering: B | None = None
        """Of this moment: somebody was first, and sends for all who join it now. None: whoever comes is the first, and goes on
        with `lead`."""
        self._send = send
        self._lone: trio.lowlevel.Task | None = None

    async def lead(self, batch: B) -> None:
        """Returns when the batch is sent, which is the caller's alone so far, with whatever others add to it meanwhile.
        Cancelled at once or not at all."""
        task = trio.lowlevel.current_task()
        if task is self._lone:
            self._send(batch)
            return
        await trio.lowlevel.checkpoint_if_cancelled()
        self.gathering = batch
        await trio.lowlevel.cancel_shielded_checkpoint()
        if self.gathering is batch:  # else it left, being full
            self.leave()
            if len(batch) == 1:
                self._lone = task

    def leave(self) -> None:
        """What has gathered is sent now."""
        batch, self.gathering, self._lone = self.gathering, None, None
        assert batch is not None
        self._send(batch)

    def answered(self, count: int) -> None:
        """So many tasks have an answer and are about to wake up: if they are several, they may ask together again."""
        if count != 1:
            self._lone = None
