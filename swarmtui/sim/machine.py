"""The state machine of the simulated nodes: the store itself, or something small that costs nothing.

Either way a checksum over everything that was ever applied goes along, so that one wrong, missing or repeated entry shows
for ever.
"""

from __future__ import annotations

import hashlib
import random
import zlib
from collections.abc import Sequence

from swarmtui.objects import codec
from swarmtui.objects.operations import Put, Result, Transaction
from swarmtui.objects.records import KeyValue
from swarmtui.objects.transactions import encode_transactions
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.store import Store

HEAD_BYTES = 12
PADDING = bytes(range(256)) * 8
KEYS = ("color", "shape", "size")


class StateMachine:
    """`index` is the last entry applied, `digest` stands for the state after it."""

    def __init__(self) -> None:
        self.index = 0
        self.digest = 0

    def apply(self, entry: Entry) -> Sequence[Result]:
        """What each transaction in it is answered."""
        self.digest = zlib.crc32(entry.data, zlib.crc32(b"%d %d" % (entry.index, entry.term), self.digest))
        self.index = entry.index
        return ()

    def read(self, key: str) -> KeyValue | None:
        """Only the store has keys."""
        return None

    def state(self) -> str:
        """A checksum of what the entries made, not of the entries."""
        return f"{self.digest:08x}"

    def snapshot(self) -> bytes:
        """Padded to a size of its own, so that transfers have many pieces and a last one that is not full."""
        return self.head() + PADDING[: self.digest % len(PADDING)]

    def load(self, data: bytes) -> None:
        self.index = int.from_bytes(data[:8], "big")
        self.digest = int.from_bytes(data[8:HEAD_BYTES], "big")

    def head(self) -> bytes:
        return self.index.to_bytes(8, "big") + self.digest.to_bytes(4, "big")

    def payload(self, rng: random.Random, bytes_max: int) -> bytes:
        """Something to propose."""
        return rng.randbytes(rng.randint(1, bytes_max))


class StoreMachine(StateMachine):
    """The store that nodes run, with the checksum beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self._written: bytes | None = None  # the snapshot of the state as it is now, once somebody has asked for it

    def apply(self, entry: Entry) -> Sequence[Result]:
        super().apply(entry)
        self._written = None
        if entry.kind is EntryKind.TRANSACTIONS:
            return self.store.apply(entry.index, entry.term, entry.data)
        self.store.skip(entry.index, entry.term)
        return ()

    def read(self, key: str) -> KeyValue | None:
        return self.store.get(KeyValue, key)

    def state(self) -> str:
        """Of the whole snapshot: what differs in it would differ on who loads it."""
        return hashlib.sha256(self.snapshot()).hexdigest()

    def snapshot(self) -> bytes:
        if self._written is None:
            self._written = self.head() + b"".join(self.store.freeze().chunks())
        return self._written

    def load(self, data: bytes) -> None:
        super().load(data)
        self._written = None
        self.store.restore([data[HEAD_BYTES:]])

    def payload(self, rng: random.Random, bytes_max: int) -> bytes:
        """Writes of few keys, often with an expected version, so that some conflict; sometimes bytes that mean nothing."""
        if rng.random() < 0.02:
            return rng.randbytes(rng.randint(1, bytes_max))
        encoded = []
        for _ in range(rng.randint(1, 3)):
            expected = rng.choice([None, None, 0, self.index])
            put = Put(rng.choice(KEYS), rng.randbytes(rng.randint(0, bytes_max)), expected)
            encoded.append(codec.encode(Transaction((put,))))
        return encode_transactions(encoded, 0.0)
