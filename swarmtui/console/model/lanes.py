"""The last sixty seconds of one node as a lane: a thin line while it follows, a thick one while it leads.

Only changes are kept. A lane of any width is cut from them into buckets that are aligned to the clock, so that a lane
moves by whole cells and never flickers between two readings of the same past.
"""

from __future__ import annotations

import attrs

from swarmtui.console.model.standing import Standing

LANE_SECONDS = 60.0
MARGIN_SECONDS = 10.0  # kept beyond what is shown
LANE_CHANGES_MAX = 500  # of one node; beyond it the oldest are forgotten early


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


Changes = tuple[tuple[float, Standing, int], ...]
"""Since when a node has been what, in which term: the oldest first."""


class Lane:
    """The changes of one node's standing and term. `changes` is replaced, never altered, so a picture may keep it."""

    def __init__(self) -> None:
        self.changes: Changes = ()
        self._came = 0.0  # when it was first seen with our own eyes

    def recall(self, moment: float, standing: Standing, term: int) -> None:
        """It was this before we came: told by an event of the past. What was seen since then is not touched."""
        if not self.changes or moment >= self._came:
            return
        later = next(position for position, change in enumerate(self.changes) if change[0] >= min(moment, self._came))
        self.changes = (*self.changes[:later], (moment, standing, term), *self.changes[later:])

    def note(self, now: float, standing: Standing, term: int) -> None:
        """The node is this from `now` on; the same as before costs nothing. A later finding never rewrites the past."""
        if not self.changes:
            self._came = now
        else:
            last = self.changes[-1]
            if last[1] is standing and last[2] == term:
                return
            now = max(now, last[0])
        kept = self.changes[-LANE_CHANGES_MAX + 1 :]
        oldest = 0
        while oldest + 1 < len(kept) and kept[oldest + 1][0] < now - LANE_SECONDS - MARGIN_SECONDS:
            oldest += 1
        self.changes = (*kept[oldest:], (now, standing, term))


def lane_cells(changes: Changes, now: float, width: int) -> list[LaneCell]:
    """The LANE_SECONDS up to now in `width` buckets, the newest last."""
    if width <= 0:
        return []
    step = LANE_SECONDS / width
    last_bucket = int(now / step)
    cells: list[LaneCell] = []
    position, current = 0, NOTHING
    for bucket in range(last_bucket - width + 1, last_bucket + 1):
        end = (bucket + 1) * step
        shown = attrs.evolve(current, begins=False) if current.begins else current
        shown_weight = -1
        while position < len(changes) and changes[position][0] < end:
            moment, standing, term = changes[position]
            if standing is Standing.ASKING and current.standing is not None:
                position += 1  # asking changes nothing about what a node is
                continue
            began_here = moment >= bucket * step
            current = LaneCell(standing, term, began_here)
            weight = _WEIGHT.get(standing, 0)
            if weight >= shown_weight or not began_here:
                shown, shown_weight = current, weight if began_here else -1
            position += 1
        cells.append(shown)
    return cells
