"""The state machine of the simulated nodes: small, total, and able to say whether two states are the same.

Its state is a checksum over everything it ever applied, so one wrong, missing or repeated entry shows for ever.
"""

from __future__ import annotations

import zlib

from swarmtui.raft.entries import Entry

HEAD_BYTES = 12
PADDING = bytes(range(256)) * 8


class StateMachine:
    """`index` is the last entry applied, `digest` stands for the state after it."""

    def __init__(self) -> None:
        self.index = 0
        self.digest = 0

    def apply(self, entry: Entry) -> None:
        self.digest = zlib.crc32(entry.data, zlib.crc32(b"%d %d" % (entry.index, entry.term), self.digest))
        self.index = entry.index

    def snapshot(self) -> bytes:
        """Padded to a size of its own, so that transfers have many pieces and a last one that is not full."""
        head = self.index.to_bytes(8, "big") + self.digest.to_bytes(4, "big")
        return head + PADDING[: self.digest % len(PADDING)]

    @classmethod
    def restore(cls, data: bytes) -> StateMachine:
        machine = cls()
        machine.index = int.from_bytes(data[:8], "big")
        machine.digest = int.from_bytes(data[8:HEAD_BYTES], "big")
        return machine
