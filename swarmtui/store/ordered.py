"""A set of texts in order, for as many as there are keys: what begins with a prefix is found without looking at the rest.

The texts lie in blocks of at most BLOCK_MAX, each sorted, each before the next. One that comes or goes moves a part of its
own block only, so nothing here takes longer than some microseconds, however many there are.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

BLOCK_MAX = 1024


class OrderedTexts:
    """Knows each text once. `_last[i]` is the last text of `_blocks[i]`; no block is empty."""

    def __init__(self) -> None:
        self._blocks: list[list[str]] = []
        self._last: list[str] = []

    def add(self, text: str) -> None:
        """A text that is not here yet."""
        if not self._blocks:
            self._blocks.append([text])
            self._last.append(text)
            return
        at = bisect_left(self._last, text)
        if at == len(self._last):
            at -= 1
            block = self._blocks[at]
            block.append(text)
            self._last[at] = text
        else:
            block = self._blocks[at]
            insort(block, text)
        if len(block) > BLOCK_MAX:
            self._split(at)

    def _split(self, at: int) -> None:
        block = self._blocks[at]
        half = len(block) // 2
        self._blocks.insert(at + 1, block[half:])
        del block[half:]
        self._last.insert(at, block[-1])

    def remove(self, text: str) -> None:
        """A text that is here."""
        at = bisect_left(self._last, text)
        block = self._blocks[at]
        del block[bisect_left(block, text)]
        if not block:
            del self._blocks[at], self._last[at]
        else:
            self._last[at] = block[-1]

    def beginning_with(self, prefix: str) -> Iterator[str]:
        """In order, as far as nobody adds or removes one meanwhile."""
        at = bisect_left(self._last, prefix)
        start = bisect_left(self._blocks[at], prefix) if at < len(self._blocks) else 0
        for block in self._blocks[at:]:
            for number in range(start, len(block)):
                if not block[number].startswith(prefix):
                    return
                yield block[number]
            start = 0
