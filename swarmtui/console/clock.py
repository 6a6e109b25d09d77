"""The console's clock: seconds since the epoch that never jump, so that durations on the screen are true.

It runs with the monotonic clock and is set by the wall clock once; when both have drifted apart by more than a second (the
machine slept, or somebody set the time), it is set anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable

DRIFT_MAX_S = 1.0


class Clock:
    """`now()` in seconds since the epoch."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def now(self) -> float:
        monotonic = self._monotonic()
        wall = self._wall()
        if abs(wall - monotonic - self._offset) > DRIFT_MAX_S:
            self._offset = wall - monotonic
        return monotonic + self._offset
