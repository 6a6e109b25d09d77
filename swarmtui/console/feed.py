"""The buffer between the network and the screen: observations in at any rate, taken out by the one paint timer.

Bounded. Past the bound the marks that a later mark of the same node has overtaken are shed first, then whatever is oldest;
how many were shed is said, never hidden.
"""

from __future__ import annotations

from collections import deque

from swarmtui.console.model.fold import Model
from swarmtui.console.model.observations import MarkSeen, Observation

BUFFERED_MAX = 20_000
FOLDED_MAX = 4_000  # in one tick, so that a flood never holds up the keys


class Buffer:
    """Observations with the time at which each arrived."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Observation]] = deque()
        self.shed = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, observation: Observation, now: float) -> None:
        """Keep this until the next tick."""
        if len(self._waiting) >= BUFFERED_MAX:
            self._shed()
        self._waiting.append((now, observation))

    def _shed(self) -> None:
        before = len(self._waiting)
        newest: dict[str, int] = {}
        for position, (_, observation) in enumerate(self._waiting):
            if isinstance(observation, MarkSeen):
                newest[observation.node] = position
        kept = [
            item
            for position, item in enumerate(self._waiting)
            if not isinstance(item[1], MarkSeen) or newest[item[1].node] == position
        ]
        self._waiting = deque(kept[-BUFFERED_MAX // 2 :] if len(kept) > BUFFERED_MAX // 2 else kept)
        self.shed += before - len(self._waiting)

    def drain(self, model: Model) -> int:
        """Fold what has come, at most FOLDED_MAX; how many that were."""
        count = min(len(self._waiting), FOLDED_MAX)
        for _ in range(count):
            now, observation = self._waiting.popleft()
            model.fold(observation, now)
        return count
