"""A backend that is made when it is first needed, behind the first frame: what it imports, no frame waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from swarmtui.console.backend import Answer, Backend, Sink

NOT_YET = "not connected yet"


class LateBackend:
    """A Backend: nothing until `start`, then whatever `make` makes."""

    def __init__(self, make: Callable[[], Backend]) -> None:
        self._make = make
        self._made: Backend | None = None

    def start(self, sink: Sink) -> None:
        self._made = self._make()
        self._made.start(sink)

    async def stop(self) -> None:
        if self._made is not None:
            await self._made.stop()

    def ask_log(self, node: str, first: int, last: int) -> None:
        if self._made is not None:
            self._made.ask_log(node, first, last)

    def listen(self, tasks: Sequence[tuple[str, str]], *, anew: bool = True) -> None:
        if self._made is not None:
            self._made.listen(tasks, anew=anew)

    async def run(self, words: Sequence[str]) -> Answer:
        return await self._made.run(words) if self._made is not None else Answer(4, error=NOT_YET)

    def suggestions(self) -> Sequence[str]:
        return self._made.suggestions() if self._made is not None else ()
