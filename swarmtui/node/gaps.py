"""Noticing that the machine slept: a loop that knows how much later it woke than it asked to."""

from __future__ import annotations

from collections.abc import Callable

import trio

LOOK_S = 0.25


async def watch_gaps(longest_s: float, tell: Callable[[float], None]) -> None:
    """Call `tell` with the seconds slept whenever this process did not run for more than `longest_s`."""
    while True:
        asked = trio.current_time() + LOOK_S
        await trio.sleep_until(asked)
        late_s = trio.current_time() - asked
        if late_s > longest_s:
            tell(late_s)


def duration_text(seconds: float) -> str:
    """`3h12m`, `1m01s`, `42s`: the two largest units that matter."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
