"""Why a history is not linearizable, as short as it can be said.

First the history is cut at the earliest answer that makes it impossible (what had not ended by then has an unknown outcome):
a shorter one still cannot be right if a longer one that begins so is to be. Then answers that change nothing are left out
as far as the rest stays impossible without them; the writes all stay, for without one of them a right history may look wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from swarmtui.sim.history import NEVER, Ending, Operation
from swarmtui.sim.linearizability import STEPS_MAX, Judgement, Verdict, judge_key
from swarmtui.sim.register import why_not

SHOWN_ORDER_MAX = 6  # of the operations that could be ordered, the last
SHOWN_STUCK_MAX = 20


def explain(operations: Sequence[Operation], steps_max: int = STEPS_MAX) -> str:
    """Of one key's operations, which were judged to be VIOLATED: several lines."""
    smallest = shrink(operations, steps_max)
    judgement = judge_key(smallest, steps_max)
    left_out = len(judgement.order) - SHOWN_ORDER_MAX
    lines = [
        f"key {judgement.key} is not linearizable: of {len(operations)} operations these {len(smallest)} suffice to see it",
        *([f"  ({left_out} that can be ordered before)"] if left_out > 0 else []),
        *(f"  then {one}" for one in judgement.order[-SHOWN_ORDER_MAX:]),
        f"  after that: {judgement.register}; one of these had to come next:",
        *(f"  not  {one}: {why_not(judgement.register, one)}" for one in _first_stuck(judgement)),
    ]
    return "\n".join(lines)


def _first_stuck(judgement: Judgement) -> list[Operation]:
    return sorted(judgement.stuck, key=lambda one: one.ended)[:SHOWN_STUCK_MAX]


def shrink(operations: Sequence[Operation], steps_max: int = STEPS_MAX) -> list[Operation]:
    """The smallest part of a VIOLATED history, by the two steps above, that is VIOLATED by itself."""
    kept = _earliest(operations, steps_max)
    size = max(1, len(kept) // 2)
    while size:
        at = 0
        while at < len(kept):
            fewer = kept[:at] + [one for one in kept[at : at + size] if one.writes] + kept[at + size :]
            if len(fewer) < len(kept) and _violated(fewer, steps_max):
                kept = fewer
            else:
                at += size
        size //= 2
    return kept


def _earliest(operations: Sequence[Operation], steps_max: int) -> list[Operation]:
    """Cut at the first answer that makes it impossible."""
    ends = sorted({one.ended for one in operations if one.ended != NEVER})
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if _violated(until(operations, ends[middle]), steps_max):
            high = middle
        else:
            low = middle + 1
    return until(operations, ends[high])


def until(operations: Sequence[Operation], end: float) -> list[Operation]:
    """What a look at this moment would have seen."""
    seen: list[Operation] = []
    for one in operations:
        if one.began > end:
            continue
        if one.ended <= end:
            seen.append(one)
        elif one.writes:
            seen.append(attrs.evolve(one, ended=NEVER, ending=Ending.UNKNOWN, version=None))
    return seen


def _violated(operations: Sequence[Operation], steps_max: int) -> bool:
    return judge_key(operations, steps_max).verdict is Verdict.VIOLATED
