"""Spans of time as people read them: never more digits than the eye can use."""

from __future__ import annotations

import time


def measured(seconds: float) -> str:
    """A measured figure: `83 ms`, `0.6 s`, `12 s`, `3m05s`."""
    seconds = max(0.0, seconds)
    if seconds < 0.2:
        return f"{max(1, round(seconds * 1000))} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{round(seconds)} s"
    return elapsed(seconds)


def elapsed(seconds: float) -> str:
    """How long something has been so: `4s`, `2m14s`, `3h12m`, `5d03h`; at most six characters up to 99 days."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"


def clock_text(moment: float, *, milliseconds: bool = False, utc: bool = False) -> str:
    """The time of day of seconds since the epoch: `12:01:07` or `12:01:07.412`."""
    parts = time.gmtime(moment) if utc else time.localtime(moment)
    text = time.strftime("%H:%M:%S", parts)
    if not milliseconds:
        return text
    return f"{text}.{int(moment * 1000) % 1000:03}"
