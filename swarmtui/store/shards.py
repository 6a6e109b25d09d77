"""A large map that can be frozen in an instant: copy-on-write by parts.

The rows lie in many dictionaries by the hash of their key. Freezing hands out the dictionaries themselves; whoever
writes a row afterwards first copies the one dictionary that it lies in. So a million keys cost the event loop some
microseconds when a snapshot begins, and a few of them with the next writes, instead of one long copy. Few keys lie in few
dictionaries: thousands, with a key or two in each, would fill a processor's cache with little else than themselves.

Beside the rows lies the order of their keys, so that a listing by prefix costs what it lists, and a snapshot is written in
that order and read without sorting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import ge
from typing import Any

from swarmtui.store.ordered import FrozenTexts, OrderedTexts

PARTS_FEW = 64  # powers of two, both
PARTS_MANY = 8192  # of a million keys one part holds some hundred, copied in some microseconds
FEW_KEYS_MAX = 16_384  # in few parts: so many move to many of them in some milliseconds
LET_GO_AT_ONCE = 32  # parts, or blocks of keys


class FrozenShards(Mapping[str, Any]):
    """Rows that never change, and the order of their keys."""

    def __init__(self, parts: list[dict[str, Any]], length: int, order: FrozenTexts) -> None:
        self.parts = parts
        self.length = length
        self.order = order
        self._mask = len(parts) - 1

    def __getitem__(self, key: str) -> Any:
        return self.parts[hash(key) & self._mask][key]

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.order.blocks)

    def __len__(self) -> int:
        return self.length

    def rows(self) -> Iterator[list[Any]]:
        """The rows in the order of their keys, some hundred at a time."""
        parts, mask = self.parts, self._mask
        for block in self.order.blocks:
            yield [parts[hash(key) & mask][key] for key in block]

    def in_place_of(self, keys: Sequence[str], rows: Sequence[Any]) -> list[Any]:
        """The rows of these keys, and for each that is here just the same the one that is here."""
        parts, mask = self.parts, self._mask
        return [
            known if (known := parts[hash(key) & mask].get(key)) == row else row
            for key, row in zip(keys, rows, strict=True)
        ]

    def let_go(self) -> Iterator[None]:
        """Forget everything, a part at each step. For a thread beside the event loop that rests between the steps: of a
        million rows that nobody else holds any more, the end of them all at once would stop every thread for a third of a
        second."""
        for everything in (self.parts, self.order.blocks, self.order.last):
            while everything:
                del everything[-LET_GO_AT_ONCE:]
                yield


class Shards:
    """Rows that change. `length` counts them."""

    def __init__(self, frozen: FrozenShards | None = None) -> None:
        self._use(list(frozen.parts) if frozen is not None else [{}] * PARTS_FEW)
        self.length = frozen.length if frozen is not None else 0
        self._order = OrderedTexts(frozen.order if frozen is not None else FrozenTexts())

    def _use(self, parts: list[dict[str, Any]]) -> None:
        """Have the rows in these, of which each is somebody else's, too, until it is written."""
        self._parts = parts
        self._mask = len(parts) - 1
        self._shared = bytearray(b"\x01" * len(parts))

    def get(self, key: str) -> Any:
        return self._parts[hash(key) & self._mask].get(key)

    def put(self, key: str, row: Any) -> Any:
        """Writes the row and answers the one that was there, or None."""
        part = self.part_of(key)
        before = part.get(key)
        part[key] = row
        if before is None:
            self.added(key)
        return before

    def part_of(self, key: str) -> dict[str, Any]:
        """The dictionary that this key lies in, for whoever looks and then writes. If the key was not in it, `added` follows."""
        number = hash(key) & self._mask
        return self._own(number) if self._shared[number] else self._parts[number]

    def added(self, key: str) -> None:
        """A new key was written into its part. From here on it may lie in another."""
        self.length += 1
        self._order.add(key)
        self._spread_if_many()

    def _spread_if_many(self) -> None:
        if self.length > FEW_KEYS_MAX and len(self._parts) < PARTS_MANY:
            rows = [part.items() for part in self._parts]
            self._use([{}] * PARTS_MANY)
            for key, row in chain.from_iterable(rows):
                self._own(hash(key) & self._mask)[key] = row

    def extend(self, keys: Sequence[str], rows: Sequence[Any]) -> None:
        """Many rows of keys that are not here yet. Cheap for keys in order that come after all the others."""
        if not keys or not self._order.comes_last(keys[0]) or any(map(ge, keys, keys[1:])):
            for key, row in zip(keys, rows, strict=True):
                self.put(key, row)
            return
        for key, row in zip(keys, rows, strict=True):
            self._own(hash(key) & self._mask)[key] = row
        self.length += len(keys)
        self._order.extend(keys)
        self._spread_if_many()

    def remove(self, key: str) -> None:
        del self._own(hash(key) & self._mask)[key]
        self.length -= 1
        self._order.remove(key)

    def beginning_with(self, prefix: str) -> list[str]:
        """The keys that begin so, in order."""
        return list(self._order.beginning_with(prefix))

    def _own(self, number: int) -> dict[str, Any]:
        if self._shared[number]:
            self._parts[number] = self._parts[number].copy()
            self._shared[number] = 0
        return self._parts[number]

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._parts)

    def freeze(self) -> FrozenShards:
        """These rows as they are now, for any thread and for ever."""
        self._use(self._parts)
        return FrozenShards(self._parts.copy(), self.length, self._order.freeze())
