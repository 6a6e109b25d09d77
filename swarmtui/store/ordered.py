"""A set of texts in order, for as many as there are keys: what begins with a prefix is found without looking at the rest.

The texts lie in blocks of at most BLOCK_MAX, each in order, each before the next. One that comes or goes makes its own
block anew and no other, so nothing here takes longer than some microseconds, however many there are. Freezing hands out
the blocks themselves; whoever adds to one afterwards first copies it.

A block is a dictionary without values, for the garbage collector passes over a dictionary of texts, where it would look
through lists or new tuples of a million of them for a tenth of a second.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

import attrs

BLOCK_MAX = 85  # as many as a dictionary of 128 places holds

Block = dict[str, None]


@attrs.frozen
class FrozenTexts:
    """Texts in order, one block after the other, that never change; `last[i]` is the last text of `blocks[i]`."""

    blocks: list[Block] = attrs.Factory(list)
    last: list[str] = attrs.Factory(list)


class OrderedTexts:
    """Knows each text once. `_last[i]` is the last text of `_blocks[i]`; no block is empty."""

    def __init__(self, frozen: FrozenTexts = FrozenTexts()) -> None:
        self._blocks = frozen.blocks.copy()
        self._last = frozen.last.copy()
        self._shared = bytearray(b"\x01" * len(self._blocks))

    def add(self, text: str) -> None:
        """A text that is not here yet. Cheapest for one that comes after all the others."""
        if self.comes_last(text):
            self._append(text)
            return
        at = bisect_left(self._last, text)
        texts = list(self._blocks[at])
        insort(texts, text)
        if len(texts) <= BLOCK_MAX:
            self._replace(at, texts)
        else:
            half = len(texts) // 2
            self._replace(at, texts[half:])
            self._insert(at, texts[:half])

    def _append(self, text: str) -> None:
        """What comes in order fills whole blocks."""
        if self._blocks and len(self._blocks[-1]) < BLOCK_MAX:
            self._own_last()[text] = None
            self._last[-1] = text
        else:
            self._insert(len(self._blocks), (text,))

    def comes_last(self, text: str) -> bool:
        """Whether it comes after all that are here."""
        return not self._last or text > self._last[-1]

    def extend(self, texts: Sequence[str]) -> None:
        """Texts in order, each once, that come after all the others: they fill whole blocks."""
        taken = 0
        if self._blocks and len(self._blocks[-1]) < BLOCK_MAX:
            taken = min(BLOCK_MAX - len(self._blocks[-1]), len(texts))
            self._own_last().update(dict.fromkeys(texts[:taken]))
            self._last[-1] = texts[taken - 1]
        for start in range(taken, len(texts), BLOCK_MAX):
            self._insert(len(self._blocks), texts[start : start + BLOCK_MAX])

    def remove(self, text: str) -> None:
        """A text that is here."""
        at = bisect_left(self._last, text)
        texts = list(self._blocks[at])
        del texts[bisect_left(texts, text)]
        if texts:
            self._replace(at, texts)
            self._last[at] = texts[-1]
        else:
            del self._blocks[at], self._last[at], self._shared[at]

    def _replace(self, at: int, texts: Sequence[str]) -> None:
        self._blocks[at] = dict.fromkeys(texts)
        self._shared[at] = 0

    def _insert(self, at: int, texts: Sequence[str]) -> None:
        self._blocks.insert(at, dict.fromkeys(texts))
        self._last.insert(at, texts[-1])
        self._shared.insert(at, 0)

    def _own_last(self) -> Block:
        if self._shared[-1]:
            self._blocks[-1] = self._blocks[-1].copy()
            self._shared[-1] = 0
        return self._blocks[-1]

    def freeze(self) -> FrozenTexts:
        """The texts as they are now."""
        self._shared = bytearray(b"\x01" * len(self._blocks))
        return FrozenTexts(self._blocks.copy(), self._last.copy())

    def beginning_with(self, prefix: str) -> Iterator[str]:
        """In order, as far as nobody adds or removes one meanwhile."""
        for block in self._blocks[bisect_left(self._last, prefix) :]:
            for text in block:
                if text.startswith(prefix):
                    yield text
                elif text > prefix:
                    return
