"""Bytes as a source of decisions, so that one target serves hypothesis, atheris and a file from a corpus alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Source:
    """Decisions are read off the bytes one after the other; behind their end every decision is the first choice."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def is_spent(self) -> bool:
        return self._position >= len(self._data)

    def take(self, count: int) -> bytes:
        """The next bytes, fewer at the end."""
        start, self._position = self._position, self._position + count
        return self._data[start : self._position]

    def below(self, limit: int) -> int:
        """A number in [0, limit), limit at most 65536."""
        width = 1 if limit <= 256 else 2
        return int.from_bytes(self.take(width), "big") % limit

    def choose(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def often(self, times_in_eight: int) -> bool:
        """True in so many of eight cases; at the end of the bytes True."""
        return self.below(8) < times_in_eight
