"""One order for several targets: every one is tried, and what failed is said at the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from swarmtui.commands.command import Context
from swarmtui.commands.errors import FailedWith, SomeFailed, exit_code_of
from swarmtui.commands.output import Failure


async def for_each(
    context: Context,
    words: Sequence[str],
    act: Callable[[str], Awaitable[None]],
    *,
    before_raising: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Does `act` for every word and goes on after one that failed; the worst exit code stands at the end."""
    failures: list[tuple[str, int]] = []
    for word in dict.fromkeys(words):
        try:
            await act(word)
        except Exception as error:
            code = exit_code_of(error)
            if code is None:
                raise
            failures.append((str(error), code))
    if before_raising is not None:
        await before_raising()
    if failures and len(words) == 1:
        raise FailedWith(*failures[0])
    for text, _ in failures:
        context.out.show(Failure(text))
    if failures:
        raise SomeFailed(max(code for _, code in failures))
