"""Events as lines, newest last, bounded; and how many come in a second."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TypeVar

from swarmtui.objects.events import Event

EVENTS_MAX = 5000
RATE_SECONDS = 5.0

T = TypeVar("T")


class EventBook:
    """The last EVENTS_MAX events of all nodes, in the order they came."""

    def __init__(self) -> None:
        self.events: deque[Event] = deque(maxlen=EVENTS_MAX)
        self.count = 0
        self._arrivals: deque[tuple[int, int]] = deque(maxlen=int(RATE_SECONDS) + 1)  # (second, how many)

    def add(self, event: Event, now: float) -> None:
        self.count += 1
        events = self.events
        # Nodes are heard over different connections: an event that is a little late is put where it belongs.
        if events and event.time < events[-1].time:
            position = len(events)
            while position and events[position - 1].time > event.time and len(events) - position < 200:
                position -= 1
            if len(events) == events.maxlen:
                events.popleft()
                position = max(0, position - 1)
            events.insert(position, event)
        else:
            events.append(event)
        if now - event.time > RATE_SECONDS:
            return  # history, told as we came: nothing that happens now
        second = int(now)
        if self._arrivals and self._arrivals[-1][0] == second:
            self._arrivals[-1] = (second, self._arrivals[-1][1] + 1)
        else:
            self._arrivals.append((second, 1))

    def rate(self, now: float) -> float:
        """Events a second, over the last few whole seconds."""
        newest = int(now)
        return sum(count for second, count in self._arrivals if newest - RATE_SECONDS <= second < newest) / RATE_SECONDS


def matching(events: Sequence[Event] | deque[Event], words: str, limit: int) -> list[Event]:
    """The last `limit` events whose line holds all of `words`, oldest first. Looks no further back than it must."""
    wanted = words.lower().split()
    found: list[Event] = []
    for event in reversed(events):
        if not wanted or all(
            word in f"{event.node} {event.kind} {event.object} {event.text}".lower() for word in wanted
        ):
            found.append(event)
            if len(found) >= limit:
                break
    found.reverse()
    return found
