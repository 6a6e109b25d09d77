"""A store that is fed transactions instead of a log."""

from __future__ import annotations

import pytest

from swarmtui.objects import codec
from swarmtui.objects.operations import Operation, Result, Transaction
from swarmtui.objects.transactions import encode_transactions
from swarmtui.store import Store


class Log:
    """Applies transactions to a store, one entry a call, a second apart, and keeps the entries."""

    def __init__(self) -> None:
        self.store = Store()
        self.time = 1_000.0
        self.entries: list[bytes] = []

    def entry(self, *transactions: Transaction) -> list[Result]:
        self.time += 1
        return self.raw(encode_transactions([codec.encode(each) for each in transactions], self.time))

    def raw(self, data: bytes) -> list[Result]:
        self.entries.append(data)
        return self.store.apply(self.store.index + 1, 1, data)

    def do(self, *operations: Operation) -> Result:
        """One entry of one transaction of these operations."""
        (result,) = self.entry(Transaction(operations))
        return result


@pytest.fixture
def log() -> Log:
    return Log()
