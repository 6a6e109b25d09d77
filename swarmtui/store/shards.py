"""A large map that can be frozen in an instant: a view of its rows as they are now, for any thread and for ever.

A view reads the very dictionaries that are written. Each row says at which index it was written (`version`), so a view
knows the rows that are newer than itself; and whoever replaces a row puts the old one aside first, for the views that it
belongs to. That is all that a snapshot of a million keys costs the writes beside it: to copy what is frozen, however
cleverly part by part, touches each row in memory once for the copy and once for its end.

The rows lie in some hundred dictionaries by the hash of their key, and so do those put aside, for a single one would at
times make room for a million more in one long step, and end in one.

Beside the rows lies the order of their keys, so that a listing by prefix costs what it lists, and a snapshot is written in
that order and read without sorting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import ge
from weakref import ref

from swarmtui.objects.records import KeyValue
from swarmtui.store.ordered import FrozenTexts, OrderedTexts

PARTS = 256  # a power of two: of a million keys one part holds 4000, which end in a millisecond
ROWS_AT_ONCE = 2_048  # let go, at least
BLOCKS_AT_ONCE = 32  # of keys

_MASK = PARTS - 1

Part = dict[str, KeyValue]


def _empty_parts() -> list[Part]:
    return [{} for _ in range(PARTS)]


class FrozenShards(Mapping[str, KeyValue]):
    """The rows as they were at `index`, and the order of their keys. `aside` are those that were replaced since."""

    def __init__(self, parts: list[Part], index: int, length: int, order: FrozenTexts) -> None:
        self.parts = parts
        self.index = index
        self.length = length
        self.order = order
        self.aside = _empty_parts()
        self.is_over = False
        self.spare: Shards | None = None  # what this is a view of, if nobody writes to it

    def __getitem__(self, key: str) -> KeyValue:
        number = hash(key) & _MASK
        row = self.parts[number].get(key)
        return self.aside[number][key] if row is None or row.version > self.index else row

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.order.blocks)

    def __len__(self) -> int:
        return self.length

    def rows(self) -> Iterator[list[KeyValue]]:
        """The rows in the order of their keys, some hundred at a time."""
        for block in self.order.blocks:
            yield [self[key] for key in block]

    def in_place_of(self, keys: Sequence[str], rows: Sequence[KeyValue]) -> list[KeyValue]:
        """The rows of these keys, and for each that is here just the same the one that is here."""
        parts = self.parts
        return [
            known if (known := parts[hash(key) & _MASK].get(key)) == row else row
            for key, row in zip(keys, rows, strict=True)
        ]

    def thaw(self) -> Shards:
        """These rows, for somebody who will change them: the very ones if nobody does yet, else as many more."""
        spare, self.spare = self.spare, None
        if spare is None:
            spare = Shards()
            for block, rows in zip(self.order.blocks, self.rows(), strict=True):
                spare.extend(list(block), rows)
        return spare

    def let_go(self) -> Iterator[None]:
        """Forget everything, a little at each step. For a thread beside the event loop that rests between the steps: of a
        million rows that nobody else holds any more, the end of them all at once would stop every thread for a third of a
        second. Every part keeps its place, for a write under way may still put rows aside."""
        self.is_over = True
        self.spare = None
        for parts in (self.aside, self.parts):
            rows = 0
            for number in range(PARTS):
                rows += len(parts[number])
                parts[number] = {}
                if rows >= ROWS_AT_ONCE:
                    rows = 0
                    yield
        while self.order.blocks:
            del self.order.blocks[-BLOCKS_AT_ONCE:], self.order.last[-BLOCKS_AT_ONCE:]
            yield


class Shards:
    """Rows that change. `length` counts them."""

    def __init__(self) -> None:
        self._parts = _empty_parts()
        self.length = 0
        self._order = OrderedTexts()
        self._views: list[ref[FrozenShards]] = []

    def __getitem__(self, key: str) -> KeyValue:
        return self._parts[hash(key) & _MASK][key]

    def get(self, key: str) -> KeyValue | None:
        return self._parts[hash(key) & _MASK].get(key)

    def put(self, key: str, row: KeyValue) -> KeyValue | None:
        """Writes the row and answers the one that was there, or None."""
        part = self.part_of(key)
        before = part.get(key)
        if before is not None and self.is_viewed:
            self.put_aside(before)
        part[key] = row
        if before is None:
            self.added(key)
        return before

    def part_of(self, key: str) -> Part:
        """The dictionary that this key lies in, for whoever looks and then writes. If the key was not in it, `added` follows;
        if it was, and `is_viewed`, `put_aside` comes before."""
        return self._parts[hash(key) & _MASK]

    def added(self, key: str) -> None:
        """A new key was written into its part."""
        self.length += 1
        self._order.add(key)

    @property
    def is_viewed(self) -> bool:
        """Whether anybody might still read what is frozen."""
        if self._views:
            self._views = [view for view in self._views if (frozen := view()) is not None and not frozen.is_over]
        return bool(self._views)

    def put_aside(self, row: KeyValue) -> None:
        """This row is about to be replaced: who reads what is frozen finds it in its place or here, at every moment."""
        for view in self._views:
            frozen = view()
            if frozen is not None and row.version <= frozen.index:
                frozen.aside[hash(row.id) & _MASK][row.id] = row

    def extend(self, keys: Sequence[str], rows: Sequence[KeyValue]) -> None:
        """Many rows of keys that are not here yet. Cheap for keys in order that come after all the others."""
        if not keys or not self._order.comes_last(keys[0]) or any(map(ge, keys, keys[1:])):
            for key, row in zip(keys, rows, strict=True):
                self.put(key, row)
            return
        parts = self._parts
        for key, row in zip(keys, rows, strict=True):
            parts[hash(key) & _MASK][key] = row
        self.length += len(keys)
        self._order.extend(keys)

    def remove(self, key: str) -> None:
        part = self._parts[hash(key) & _MASK]
        if self.is_viewed:
            self.put_aside(part[key])
        del part[key]
        self.length -= 1
        self._order.remove(key)

    def beginning_with(self, prefix: str) -> list[str]:
        """The keys that begin so, in order."""
        return list(self._order.beginning_with(prefix))

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._parts)

    def freeze(self, index: int) -> FrozenShards:
        """A view of these rows as they are now. All of them were written at or before `index`, and all that follow after it."""
        frozen = FrozenShards(self._parts.copy(), index, self.length, self._order.freeze())
        self._views.append(ref(frozen))
        return frozen

    def finish(self, index: int) -> FrozenShards:
        """The same for whoever has filled it and goes on to write no more: somebody else may, see `thaw`."""
        frozen = self.freeze(index)
        frozen.spare = self
        return frozen
