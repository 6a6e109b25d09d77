"""The bounded ring of one node's events, and those who read it.

Every event has a sequence number of this node; a reader that falls behind is told with a `gap` event what it missed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from swarmtui.objects.events import Event

RING_EVENTS = 2_000
READER_EVENTS_MAX = 1_000


@attrs.frozen
class _Told:
    """An event whose text is not built yet: most are never read."""

    time: float
    seq: int
    kind: str
    text: object
    term: int
    index: int
    object: str
    data: Mapping[str, Any]

    def event(self, node: str) -> Event:
        return Event(
            self.time, node, self.seq, self.kind, str(self.text), self.term, self.index, self.object, dict(self.data)
        )


class Events:
    """The ring. `tell` never blocks and never fails: it is called from the middle of consensus. `text` is what the line is
    made of; it is made only for who reads it, so it must not change any more."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._ring: deque[_Told] = deque(maxlen=RING_EVENTS)
        self._listeners: set[Callable[[], None]] = set()
        self._seq = 0

    @property
    def seq(self) -> int:
        """The number of the newest event, 0 before the first."""
        return self._seq

    def tell(
        self,
        kind: str,
        text: object,
        *,
        term: int = 0,
        index: int = 0,
        object: str = "",  # noqa: A002 - the field's public name
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self._seq += 1
        self._ring.append(_Told(time.time(), self._seq, kind, text, term, index, object, data or {}))
        for ring in self._listeners:
            ring()

    def after(self, seq: int, most: int = READER_EVENTS_MAX) -> list[Event]:
        """What came after `seq` and is still held, oldest first, at most `most`."""
        if seq >= self._seq or not self._ring:
            return []
        skip = max(0, seq + 1 - self._ring[0].seq)
        return [self._ring[position].event(self._node) for position in range(skip, min(len(self._ring), skip + most))]

    def listen(self, ring: Callable[[], None]) -> None:
        """Call `ring` for every event from now on."""
        self._listeners.add(ring)

    def unlisten(self, ring: Callable[[], None]) -> None:
        self._listeners.discard(ring)
