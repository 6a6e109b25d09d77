"""Waiting for what several records and reports decide, and saying in time what it is that one waits for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from swarmtui.client.errors import Unknown

LOOK_S = 0.05
QUIET_S = 1.0  # then it is said what is waited for
SAID_AGAIN_S = 3.0  # at most so often, and only if it is something else

Say = Callable[[str], None]


def unheard(text: str) -> None:
    """For whoever only wants to know how it ended."""


async def wait_until(
    what: str,
    look: Callable[[], Awaitable[bool]],
    why_not: Callable[[], Awaitable[str]],
    timeout_s: float,
    say: Say = unheard,
) -> None:
    """Returns when `look` is true, at once if there is no time to wait. What keeps it waiting (`why_not`) is said soon, and
    in the Unknown that is raised after `timeout_s`: what was ordered goes on by itself."""
    if timeout_s <= 0:
        return
    says_at, said = trio.current_time() + QUIET_S, ""
    with trio.move_on_after(timeout_s):
        while True:
            if await look():
                return
            if trio.current_time() >= says_at:
                says_at = trio.current_time() + SAID_AGAIN_S
                reason = await why_not()
                line = f"waiting for {what}" + (f": {reason}" if reason else "")
                if line != said:
                    said = line
                    say(line)
            await trio.sleep(LOOK_S)
    raise Unknown(
        f"waited {timeout_s:g} s for {said.removeprefix('waiting for ') or what}; it goes on by itself, see swarmtui raft "
        "state and swarmtui events --since 1m --no-follow --filter kind=node"
    )
