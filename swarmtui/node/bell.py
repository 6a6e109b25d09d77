"""Two small ways to wait: a bell that may ring many times before it is heard, and a promise that is kept once."""

from __future__ import annotations

from typing import Generic, TypeVar

import trio

T = TypeVar("T")


class Bell:
    """Rung any number of times by anybody, heard once by its one listener: naturally batches what happens meanwhile."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def ring(self) -> None:
        self._event.set()

    @property
    def rung(self) -> bool:
        return self._event.is_set()

    def hush(self) -> None:
        """Forget that it was rung."""
        if self._event.is_set():
            self._event = trio.Event()

    async def heard(self) -> None:
        """Wait until it was rung since the last call."""
        await self._event.wait()
        self._event = trio.Event()


class Promise(Generic[T]):
    """A value that somebody will give exactly once; giving it again is ignored (the first answer holds)."""

    __slots__ = ("_event", "_value")

    def __init__(self) -> None:
        self._event = trio.Event()
        self._value: list[T] = []

    def keep(self, value: T) -> None:
        if not self._value:
            self._value.append(value)
            self._event.set()

    @property
    def kept(self) -> bool:
        return bool(self._value)

    async def value(self) -> T:
        await self._event.wait()
        return self._value[0]
