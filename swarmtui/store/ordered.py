"""A set of texts in order, for as many as there are keys: what begins with a prefix is found without looking at the rest.

The texts lie in blocks of at most BLOCK_MAX, each sorted, each before the next. One that comes or goes moves a part of its
own block only, so nothing here takes longer than some microseconds, however many there are. Freezing hands out the blocks
themselves; whoever writes to one afterwards first copies it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

BLOCK_MAX = 1024


class OrderedTexts:
    """Knows each text once. `_last[i]` is the last text of `_blocks[i]`; no block is empty."""

    def __init__(self, frozen: Sequence[list[str]] = ()) -> None:
        self._blocks = list(frozen)
        self._last = [block[-1] for block in frozen]
        self._shared = bytearray(b"\x01" * len(frozen))

    def add(self, text: str) -> None:
        """A text that is not here yet. Cheapest for one that comes after all the others."""
        if not self._last or text > self._last[-1]:
            self._append(text)
            return
        at = bisect_left(self._last, text)
        block = self._own(at)
        insort(block, text)
        if len(block) > BLOCK_MAX:
            half = len(block) // 2
            self._insert(at + 1, block[half:])
            del block[half:]
            self._last[at] = block[-1]

    def _append(self, text: str) -> None:
        """What comes in order fills whole blocks."""
        if not self._blocks or len(self._blocks[-1]) >= BLOCK_MAX:
            self._insert(len(self._blocks), [text])
        else:
            self._own(len(self._blocks) - 1).append(text)
            self._last[-1] = text

    def _insert(self, at: int, block: list[str]) -> None:
        self._blocks.insert(at, block)
        self._last.insert(at, block[-1])
        self._shared.insert(at, 0)

    def _own(self, at: int) -> list[str]:
        if self._shared[at]:
            self._blocks[at] = self._blocks[at].copy()
            self._shared[at] = 0
        return self._blocks[at]

    def remove(self, text: str) -> None:
        """A text that is here."""
        at = bisect_left(self._last, text)
        block = self._own(at)
        del block[bisect_left(block, text)]
        if not block:
            del self._blocks[at], self._last[at], self._shared[at]
        else:
            self._last[at] = block[-1]

    def freeze(self) -> list[list[str]]:
        """The blocks as they are now, which never change again: in order, one after the other."""
        self._shared = bytearray(b"\x01" * len(self._blocks))
        return self._blocks.copy()

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
