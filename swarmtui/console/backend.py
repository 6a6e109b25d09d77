"""What the application needs of whatever stands behind it: a live cluster, a script in a test, later a recording.

All calls are made from Textual's loop and return at once, but for `run` and `stop`, which are awaited there. Observations
come through the sink given to `start`, in the same thread, at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import attrs

from swarmtui.console.model.observations import Observation

Sink = Callable[[Observation], None]


@attrs.frozen
class Answer:
    """How a command ended: its exit code as on the command line, what it printed, and its one line of error."""

    exit_code: int
    lines: tuple[str, ...] = ()
    error: str = ""


class Backend(Protocol):
    """The far side of the console."""

    def start(self, sink: Sink) -> None:
        """Begin to observe."""

    async def stop(self) -> None:
        """End everything that was begun, within a bounded time."""

    def ask_log(self, node: str, first: int, last: int) -> None:
        """Ask this node for entries of its log; the answer comes as LogSeen. Asking again while an answer is awaited does
        nothing."""

    def listen(self, tasks: Sequence[tuple[str, str]], *, anew: bool = True) -> None:
        """Follow the output of these tasks, as (node name, task id), and of no others any more. `anew`: tell again what
        they printed before; else those that are followed already just go on."""

    async def run(self, words: Sequence[str]) -> Answer:
        """Run one command of the registry."""

    def suggestions(self) -> Sequence[str]:
        """The words of every command there is, for completion."""
