"""The host's own events: a bounded ring that observers read at their own pace, in the form that nodes use."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from time import time as wall_time
from typing import Any

import trio

from swarmtui.objects.events import Event

EVENTS_MAX = 5000
HOST_NAME = "host"
YOU = "you"  # the person at the keyboard, to whom every fault is due


class EventRing:
    """`emit` never waits. A reader that falls behind by more than the ring learns how many events it missed."""

    def __init__(self, *, wall: Callable[[], float] = wall_time, also: Callable[[Event], None] | None = None) -> None:
        self._wall = wall
        self._also = also
        self._events: deque[Event] = deque(maxlen=EVENTS_MAX)
        self._last_seq = 0
        self._grown = trio.Event()

    def emit(
        self, kind: str, text: str, *, by: str = HOST_NAME, about: str = "", data: Mapping[str, Any] = {}
    ) -> Event:
        """`by` is whose doing it was: the host's or YOU; both count in one sequence."""
        self._last_seq += 1
        event = Event(self._wall(), by, self._last_seq, kind, text, object=about, data=dict(data))
        self._events.append(event)
        if self._also is not None:
            self._also(event)
        self._grown.set()
        self._grown = trio.Event()
        return event

    async def read(self, after_seq: int = 0, *, follow: bool = True) -> AsyncIterator[Event]:
        """Events for ever, or up to the last that is held. `after_seq`: 0 from now on, -1 all that the ring still holds, else
        those behind it. A number that was never given out is of an earlier host: then all."""
        explicit = 0 <= after_seq <= self._last_seq
        seen = (after_seq or self._last_seq) if explicit else 0
        while True:
            grown = self._grown
            first = self._events[0].seq if self._events else self._last_seq + 1
            if explicit and first > seen + 1:
                lost = first - seen - 1
                yield Event(self._wall(), HOST_NAME, first - 1, "gap", f"{lost} events of the host were missed")
            explicit = True
            for event in [event for event in self._events if event.seq > seen]:
                seen = event.seq
                yield event
            seen = max(seen, first - 1)
            if seen >= self._last_seq:
                if not follow:
                    return
                await grown.wait()
