"""What was refused at our door, as events: every one named, but never so many that a flood fills the ring."""

from __future__ import annotations

import trio

from swarmtui.node.events import Events
from swarmtui.wire.admission import Refusal

TOLD_PER_SECOND_MAX = 10


class Refusals:
    def __init__(self, events: Events) -> None:
        self._events = events
        self._second = 0
        self._told = 0
        self._untold = 0

    def tell(self, refusal: Refusal) -> None:
        second = int(trio.current_time())
        if second != self._second:
            if self._untold:
                self._events.tell("refused", f"{self._untold} more were refused", data={"rule": "flood"})
            self._second, self._told, self._untold = second, 0, 0
        if self._told >= TOLD_PER_SECOND_MAX:
            self._untold += 1
            return
        self._told += 1
        self._events.tell("refused", str(refusal), data={"rule": refusal.rule, "address": refusal.address})
