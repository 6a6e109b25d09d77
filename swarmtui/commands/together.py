"""Asking several at once: results in order, and the first error as itself rather than inside a group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio


async def together(*asks: Callable[[], Awaitable[Any]]) -> list[Any]:
    """The results of all, side by side. The first failure cancels the others and is raised."""
    results: list[Any] = [None] * len(asks)

    async def keep(position: int, ask: Callable[[], Awaitable[Any]]) -> None:
        results[position] = await ask()

    try:
        async with trio.open_nursery() as nursery:
            for position, ask in enumerate(asks):
                nursery.start_soon(keep, position, ask)
    except BaseExceptionGroup as group:
        raise leading_error(group) from None
    return results


def leading_error(error: BaseException) -> BaseException:
    """The one error of a group that decides: an interruption first, else the first that is an error of its own."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [leading_error(inner) for inner in error.exceptions]
    for leaf in leaves:
        if isinstance(leaf, KeyboardInterrupt):
            return leaf
    return next((leaf for leaf in leaves if not isinstance(leaf, trio.Cancelled)), leaves[0])
