"""The bounded ring of one node's events, and those who read it.

Every event has a sequence number of this node; a reader that falls behind is told with a `gap` event what it missed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from swarmtui.objects.events import Event

RING_EVENTS = 2_000
READER_EVENTS_MAX = 1_000


class Events:
    """The ring. `tell` never blocks and never fails: it is called from the middle of consensus."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._ring: deque[Event] = deque(maxlen=RING_EVENTS)
        self._listeners: set[Callable[[], None]] = set()
        self._seq = 0

    @property
    def seq(self) -> int:
        """The number of the newest event, 0 before the first."""
        return self._seq

    def tell(
        self,
        kind: str,
        text: str,
        *,
        term: int = 0,
        index: int = 0,
        object: str = "",  # noqa: A002 - the field's public name
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self._seq += 1
        event = Event(time.time(), self._node, self._seq, kind, text, term, index, object, dict(data or {}))
        self._ring.append(event)
        for ring in self._listeners:
            ring()

    def after(self, seq: int, most: int = READER_EVENTS_MAX) -> list[Event]:
        """What came after `seq` and is still held, oldest first, at most `most`."""
        if seq >= self._seq or not self._ring:
            return []
        skip = max(0, seq + 1 - self._ring[0].seq)
        return [self._ring[position] for position in range(skip, min(len(self._ring), skip + most))]

    def listen(self, ring: Callable[[], None]) -> None:
        """Call `ring` for every event from now on."""
        self._listeners.add(ring)

    def unlisten(self, ring: Callable[[], None]) -> None:
        self._listeners.discard(ring)
