"""The last sixty seconds of one node as a lane: a thin line while it follows, a thick one while it leads.

Only changes are kept. A lane of any width is cut from them into buckets that are aligned to the clock, so that a lane
moves by whole cells and never flickers between two readings of the same past.
"""

from __future__ import annotations

from collections import deque

import attrs

from swarmtui.console.model.standing import Standing

LANE_SECONDS = 60.0
LANE_CHANGES_MAX = 2000  # of one node; beyond it the oldest are forgotten early


@attrs.frozen
class LaneCell:
    """One bucket: what the node was, and in which term. `begins`: it became so in this bucket. None standing: unknown."""

    standing: Standing | None
    term: int = 0
    begins: bool = False


NOTHING = LaneCell(None)
# Within one bucket the rarer thing is shown: a death or a candidacy of 80 ms must not vanish between two seconds.
_WEIGHT = {
    Standing.KILLED: 9,
    Standing.EXITED: 9,
    Standing.DOWN: 9,
    Standing.STOPPED: 8,
    Standing.CANDIDATE: 7,
    Standing.PRE_CANDIDATE: 6,
    Standing.PAUSED: 5,
}


class Lane:
    """The changes of one node's standing and term."""

    def __init__(self) -> None:
        self._changes: deque[tuple[float, Standing, int]] = deque(maxlen=LANE_CHANGES_MAX)

    def note(self, now: float, standing: Standing, term: int) -> None:
        """The node is this from `now` on; the same as before costs nothing. A later finding never rewrites the past."""
        if self._changes:
            last = self._changes[-1]
            if last[1] is standing and last[2] == term:
                return
            now = max(now, last[0])
        self._changes.append((now, standing, term))
        while len(self._changes) > 1 and self._changes[1][0] < now - LANE_SECONDS - 10:
            self._changes.popleft()

    def cells(self, now: float, width: int) -> list[LaneCell]:
        """The last LANE_SECONDS in `width` buckets, the newest last."""
        if width <= 0:
            return []
        step = LANE_SECONDS / width
        last_bucket = int(now / step)
        first_bucket = last_bucket - width + 1
        cells: list[LaneCell] = []
        changes = list(self._changes)
        position, current = 0, NOTHING
        for bucket in range(first_bucket, last_bucket + 1):
            end = (bucket + 1) * step
            shown = attrs.evolve(current, begins=False) if current.begins else current
            shown_weight = -1
            while position < len(changes) and changes[position][0] < end:
                moment, standing, term = changes[position]
                began_here = moment >= bucket * step
                current = LaneCell(standing, term, began_here)
                weight = _WEIGHT.get(standing, 0)
                if weight >= shown_weight or not began_here:
                    shown, shown_weight = current, weight if began_here else -1
                position += 1
            cells.append(shown)
        return cells
