"""A log on a simulated disk, with segments so small that everything happens within a few writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.effects import HardState, Write
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.storage.log import RaftStorage
from swarmtui.storage.simulated import SimulatedDisk

DIRECTORY = Path("/node/raft")
SEGMENT_BYTES = 4096
CONFIGURATION = Configuration((Member("n1", "n1", "127.0.0.1:1"), Member("n2", "n2", "127.0.0.1:2")))


class Node:
    """One manager's disk. `write` numbers the writes; `open` recovers."""

    directory = DIRECTORY
    configuration = CONFIGURATION

    def __init__(self, disk: SimulatedDisk | None = None) -> None:
        self.disk = disk or SimulatedDisk()
        self.sequence = 0
        self.storage: RaftStorage
        if disk is None:
            RaftStorage.create(DIRECTORY, "n1", CONFIGURATION, file_ops=self.disk, segment_bytes=SEGMENT_BYTES)

    def open(self) -> RaftStorage:
        self.storage = RaftStorage.open(DIRECTORY, "n1", file_ops=self.disk, segment_bytes=SEGMENT_BYTES)
        return self.storage

    def make(
        self,
        entries: Sequence[Entry] = (),
        hard_state: HardState | None = None,
        truncate_after: int | None = None,
    ) -> Write:
        self.sequence += 1
        return Write(self.sequence, hard_state, truncate_after, tuple(entries))

    def write(
        self,
        entries: Sequence[Entry] = (),
        hard_state: HardState | None = None,
        truncate_after: int | None = None,
    ) -> None:
        self.storage.write(self.make(entries, hard_state, truncate_after))

    def segments(self) -> list[str]:
        return [name for name in self.disk.names(DIRECTORY) if name.endswith(".log")]

    @staticmethod
    def entry(index: int, term: int = 1, data: bytes = b"x") -> Entry:
        return Entry(index, term, EntryKind.TRANSACTIONS, data)

    def run(self, first: int, last: int, term: int = 1, size: int = 100) -> list[Entry]:
        """Entries first..last, each its own pattern of bytes."""
        return [self.entry(index, term, bytes([index % 250 + 1]) * size) for index in range(first, last + 1)]


@pytest.fixture
def node() -> Node:
    made = Node()
    made.open()
    return made


@pytest.fixture
def any_node() -> type[Node]:
    """The class, for tests that need many disks."""
    return Node
