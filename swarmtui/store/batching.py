"""Which transactions may share an entry of the log.

An object's version is the index of the entry that wrote it, so two transactions of one entry never write the same object:
the next one that does begins a new entry. `require` only reads, and two that read the same object may stand together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from swarmtui.objects.operations import Advance, Create, Put, Remove, Transaction, Update
from swarmtui.objects.records import KeyValue, Task

KV = KeyValue.TABLE
TASK = Task.TABLE
ENTRY_TRANSACTIONS_MAX = 10_000


def written(transaction: Transaction) -> list[tuple[str, str]]:
    """The objects that it may write, as (table, id)."""
    objects: list[tuple[str, str]] = []
    for operation in transaction.operations:
        if isinstance(operation, Put):
            objects.append((KV, operation.key))
        elif isinstance(operation, Advance):
            objects.append((TASK, operation.task_id))
        elif isinstance(operation, Create | Update):
            objects.append((operation.record.TABLE, operation.record.id))
        elif isinstance(operation, Remove):
            objects.append((operation.table, operation.id))
    return objects


class Batcher:
    """One entry that is being filled."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._count = 0
        self._written: set[tuple[str, str]] = set()

    def add(self, encoded_bytes: int, objects: Collection[tuple[str, str]]) -> bool:
        """Takes a transaction of so many bytes that writes these objects into this entry, or answers False: it must go
        into the next. An empty entry takes any."""
        return self._take(1, encoded_bytes, objects, is_any=not self._count)

    def add_all(self, count: int, encoded_bytes: int, objects: Collection[tuple[str, str]]) -> bool:
        """The same of several, none of which writes what another does: all of them or none, and no more than it may hold."""
        return self._take(count, encoded_bytes, objects, is_any=False)

    def _take(self, count: int, encoded_bytes: int, objects: Collection[tuple[str, str]], *, is_any: bool) -> bool:
        size = self._bytes + encoded_bytes
        full = size > self._bytes_max or self._count + count > ENTRY_TRANSACTIONS_MAX
        if not is_any and (full or not self._written.isdisjoint(objects)):
            return False
        self._bytes = size
        self._count += count
        self._written.update(objects)
        return True


def split(transactions: Sequence[tuple[bytes, Transaction]], bytes_max: int) -> list[list[tuple[bytes, Transaction]]]:
    """The transactions in their order, as the entries they may form: no object written twice in one, none above
    `bytes_max` unless a single transaction is."""
    entries: list[list[tuple[bytes, Transaction]]] = []
    batcher: Batcher | None = None
    for encoded, transaction in transactions:
        objects = written(transaction)
        if batcher is None or not batcher.add(len(encoded), objects):
            batcher = Batcher(bytes_max)
            batcher.add(len(encoded), objects)
            entries.append([])
        entries[-1].append((encoded, transaction))
    return entries
