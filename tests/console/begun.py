"""When a rehearsed cluster may speak."""

from __future__ import annotations

import asyncio

from swarmtui.console.rehearsal import Rehearsal


async def begun(play: Rehearsal) -> None:
    """Until the application observes: it does once its first frame is on the screen."""
    while not play.is_observed:
        await asyncio.sleep(0.001)
