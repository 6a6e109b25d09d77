"""The stream of changes: from any index that is still remembered, bounded, and honest when it is not.

Changes are published when their whole entry is applied, so whoever is woken sees a store that agrees with them. The last
ones are remembered (`History`), so that a watcher can begin at the index of what it read. A watcher that cannot follow,
or begins too far back, or sees a snapshot replace the store, takes a `Resync` once instead of changes: read everything
again, in the same step, and go on taking.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import attrs

from swarmtui.objects.records import KeyValue, Record
from swarmtui.store.tables import KV

WATCH_CHANGES_MAX = 10_000  # waiting in one watch
HISTORY_CHANGES_MAX = 8_192
HISTORY_BYTES_MAX = 8 * 1024 * 1024  # of the entries whose changes are remembered


@attrs.define
class Change:
    """One object was written by the entry at `index`: created (`before` is None), replaced, or removed (`after` is None). A
    key that was put says nothing of before, see KeysPut."""

    index: int
    table: str
    before: Record | None
    after: Record | None

    @property
    def id(self) -> str:
        known = self.after or self.before
        return known.id if known is not None else ""


@attrs.frozen
class Resync:
    """Changes up to `index` were missed: `reason` says why. Read the store again."""

    index: int
    reason: str


RecordChange = tuple[str, Record | None, Record | None]
"""(table, before, after) of one object."""


class KeysPut(NamedTuple):
    """Keys that were put one after another: under load an entry holds hundreds, and an object for each would cost much of
    what applying it does. The rows in whose place they came are not remembered: nobody asks for them, and they end cheaper at
    once, while a processor has them at hand, than thousands of changes later."""

    table: str
    rows: list[KeyValue]


RawChanges = RecordChange | KeysPut
"""As apply notes it: one or several. Becomes Changes only when somebody takes it."""


def _count(raw: RawChanges) -> int:
    return len(raw.rows) if isinstance(raw, KeysPut) else 1


def _changes(index: int, raw: RawChanges) -> Iterator[Change]:
    if not isinstance(raw, KeysPut):
        yield Change(index, *raw)
        return
    for row in raw.rows:
        yield Change(index, KV, None, row)


class Watch:
    """One reader's queue."""

    def __init__(
        self, close: Callable[[Watch], None], tables: Collection[str] | None, limit: int = WATCH_CHANGES_MAX
    ) -> None:
        self._wake: Callable[[], None] = _nobody
        self._close = close
        self._tables = None if tables is None else frozenset(tables)
        self._limit = limit
        self._waiting: list[tuple[int, RawChanges]] = []
        self._count = 0  # of changes that wait
        self._resync: Resync | None = None
        self._roused = False  # `wake` was called since the last `take`

    def __len__(self) -> int:
        """Changes waiting."""
        return self._count

    @property
    def wake(self) -> Callable[[], None]:
        """Called when the queue becomes non-empty, once until the next `take`; at once when set on one that is not empty."""
        return self._wake

    @wake.setter
    def wake(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        if self._roused:
            wake()

    def take(self) -> list[Change] | Resync:
        """What has changed since the last time, in order; an empty list if nothing has."""
        self._roused = False
        if self._resync is not None:
            missed, self._resync = self._resync, None
            return missed
        waiting, self._waiting, self._count = self._waiting, [], 0
        return [change for index, raw in waiting for change in _changes(index, raw)]

    def close(self) -> None:
        """Nothing more is queued here."""
        self._close(self)
        self._waiting, self._count = [], 0

    def offer(self, index: int, changes: Sequence[RawChanges], touched: Collection[str]) -> None:
        """What the entry at `index` changed; `touched` are the tables of it."""
        if self._resync is not None:
            self._resync = Resync(index, self._resync.reason)
            return
        tables = self._tables
        if tables is not None and tables.isdisjoint(touched):
            return
        for raw in changes:
            if tables is None or raw[0] in tables:
                self._waiting.append((index, raw))
                self._count += _count(raw)
        if self._count > self._limit:
            self.miss(index, f"{self._count} changes waited, at most {self._limit} can")
        elif self._count:
            self._rouse()

    def miss(self, index: int, reason: str) -> None:
        """From here on only a Resync helps."""
        self._waiting, self._count = [], 0
        self._resync = Resync(index, reason)
        self._rouse()

    def _rouse(self) -> None:
        if not self._roused:
            self._roused = True
            self._wake()


def _nobody() -> None:
    """The wake of a watch whose owner only ever polls."""


class History:
    """The last changes, so that a watch can begin in the past."""

    def __init__(self) -> None:
        self._entries: deque[tuple[int, Sequence[RawChanges], int]] = deque()
        self._changes = 0
        self._bytes = 0
        self.begins_after = 0  # every change of a later index is remembered

    def add(self, index: int, changes: Sequence[RawChanges], size: int) -> None:
        """`size` is that of the entry that made these changes: what of it they keep alive is less."""
        self._entries.append((index, changes, size))
        self._changes += sum(map(_count, changes))
        self._bytes += size
        while self._changes > HISTORY_CHANGES_MAX or self._bytes > HISTORY_BYTES_MAX:
            self.begins_after, forgotten, size = self._entries.popleft()
            self._changes -= sum(map(_count, forgotten))
            self._bytes -= size

    def since(self, after: int) -> list[tuple[int, Sequence[RawChanges]]] | None:
        """The changes of every index above `after`; None if some are forgotten."""
        if after < self.begins_after:
            return None
        return [(index, changes) for index, changes, _ in self._entries if index > after]

    def restart(self, index: int) -> None:
        self._entries.clear()
        self._changes = self._bytes = 0
        self.begins_after = index
