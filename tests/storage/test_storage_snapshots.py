"""Snapshot files: whole and checked or not there; what arrives in pieces goes on where it stopped."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

from swarmtui.raft.inputs import ChunkOutcome
from swarmtui.raft.messages import SnapshotMark
from swarmtui.storage.errors import DamagedSnapshot, DiskFailure, NewerFormat, NoRoom
from swarmtui.storage.snapshots import SENDING_MAX, SnapshotFiles

if TYPE_CHECKING:
    from .conftest import Node

STATE = bytes(range(256)) * 20


@pytest.fixture
def files(node: Node) -> SnapshotFiles:
    return node.storage.snapshots


def arriving(node: Node, index: int = 50, state: bytes = STATE) -> SnapshotMark:
    return SnapshotMark(index, 3, node.configuration, len(state), hashlib.sha256(state).hexdigest())


def test_what_is_saved_is_found_and_read(node: Node, files: SnapshotFiles) -> None:
    mark = files.save(7, 2, node.configuration, [STATE[:1000], STATE[1000:], b""])
    assert mark == SnapshotMark(7, 2, node.configuration, len(STATE), hashlib.sha256(STATE).hexdigest())
    assert SnapshotFiles(node.directory, files=node.disk).newest() == mark
    assert b"".join(files.open_chunks(mark)) == STATE
    assert files.read(mark, 1000, 24) == STATE[1000:1024]
    assert files.read(mark, len(STATE) - 4, 100) == STATE[-4:]
    assert files.read(mark, len(STATE), 100) == b""


def test_the_newest_is_the_one_of_the_highest_index(node: Node, files: SnapshotFiles) -> None:
    assert files.newest() is None
    for index in (9, 1000, 99):
        files.save(index, 1, node.configuration, [b"state"])
    newest = files.newest()
    assert newest is not None
    assert newest.index == 1000


def test_older_ones_are_discarded(node: Node, files: SnapshotFiles) -> None:
    old = files.save(9, 1, node.configuration, [b"old"])
    files.receive(arriving(node, 5), 0, STATE[:10])
    new = files.save(10, 1, node.configuration, [b"new"])
    files.close()
    files.discard_older()
    assert files.read(old, 0, 9) is None
    assert files.read(new, 0, 9) == b"new"
    assert not [name for name in node.disk.names(node.directory) if name.endswith(".part")]


def test_one_that_is_being_sent_stays_until_its_last_piece_was_read(node: Node, files: SnapshotFiles) -> None:
    """Else whoever takes longer to receive one than the leader to take the next never gets any."""
    first = files.save(9, 1, node.configuration, [STATE])
    half = len(STATE) // 2
    assert files.read(first, 0, half) == STATE[:half]
    second = files.save(10, 1, node.configuration, [STATE])
    files.discard_older()
    assert files.read(second, 0, 10) == STATE[:10]
    files.discard_older()
    assert files.read(first, half, half) == STATE[half:]
    files.discard_older()
    assert files.read(first, 0, half) is None


def test_of_those_that_were_sent_and_given_up_few_stay(node: Node, files: SnapshotFiles) -> None:
    marks: list[SnapshotMark] = []
    for index in range(10, 20):
        marks.append(files.save(index, 1, node.configuration, [STATE]))
        files.read(marks[-1], 0, 10)
        files.discard_older()
    there = [name for name in node.disk.names(node.directory) if name.endswith(".snap")]
    assert len(there) <= 1 + SENDING_MAX


def test_a_compaction_spares_an_older_snapshot_that_waits_beside_a_newer_one(node: Node, files: SnapshotFiles) -> None:
    """A snapshot arrived whole and its leader lost its place before it was installed; the next leader sent an older one.
    A compaction that comes before that is installed deleted it, and the node died of a file that was not there."""
    own = files.save(5, 1, node.configuration, [b"own"])
    newer, older = arriving(node, 50), arriving(node, 40, STATE[::-1])
    assert files.receive(newer, 0, STATE)[0] is ChunkOutcome.COMPLETE
    assert files.receive(older, 0, STATE[::-1])[0] is ChunkOutcome.COMPLETE
    files.discard_older()
    assert b"".join(files.open_chunks(older)) == STATE[::-1]
    node.storage.install(older, [])
    files.discard_older()
    assert b"".join(files.open_chunks(older)) == STATE[::-1]
    assert files.read(own, 0, 3) is None
    assert node.open().restored.snapshot == newer  # as good: whatever a leader sends is committed
    newest = node.storage.snapshots.save(60, 3, node.configuration, [b"later"])
    node.storage.snapshots.discard_older()
    assert [name for name in node.disk.names(node.directory) if name.endswith(".snap")] == [f"{60:016d}-3.snap"]
    assert node.storage.snapshots.newest() == newest


def test_a_snapshot_arrives_in_pieces(node: Node, files: SnapshotFiles) -> None:
    mark = arriving(node)
    assert files.receive(mark, 0, STATE[:2000]) == (ChunkOutcome.STORED, 2000)
    assert files.receive(mark, 2000, STATE[2000:4000]) == (ChunkOutcome.STORED, 4000)
    assert files.newest() is None
    assert files.receive(mark, 4000, STATE[4000:]) == (ChunkOutcome.COMPLETE, len(STATE))
    assert files.newest() == mark
    assert b"".join(files.open_chunks(mark)) == STATE
    assert files.receive(mark, 0, STATE[:2000]) == (ChunkOutcome.COMPLETE, len(STATE))


def test_a_piece_from_elsewhere_is_not_stored(node: Node, files: SnapshotFiles) -> None:
    mark = arriving(node)
    files.receive(mark, 0, STATE[:2000])
    for offset in (0, 1999, 2001, 5000):
        assert files.receive(mark, offset, STATE[offset : offset + 10]) == (ChunkOutcome.STORED, 2000)
    assert files.receive(mark, 2000, STATE[2000:] + b"more") == (ChunkOutcome.STORED, 2000)
    assert files.receive(mark, 2000, STATE[2000:])[0] is ChunkOutcome.COMPLETE


def test_it_goes_on_after_a_power_cut_where_it_was_synced(
    node: Node, files: SnapshotFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmtui.storage.snapshots.UNSYNCED_BYTES_MAX", 2000)
    mark = arriving(node)
    files.receive(mark, 0, STATE[:2000])
    node.disk.sync_directory(node.directory)
    node.disk.lose_power(lambda: 0.9)
    again = node.open().snapshots
    assert again.receive(mark, 0, b"") == (ChunkOutcome.STORED, 2000)
    assert again.receive(mark, 2000, STATE[2000:]) == (ChunkOutcome.COMPLETE, len(STATE))


def test_a_whole_that_does_not_agree_is_thrown_away(node: Node, files: SnapshotFiles) -> None:
    mark = arriving(node)
    files.receive(mark, 0, b"?" * 2000)
    assert files.receive(mark, 2000, STATE[2000:]) == (ChunkOutcome.DAMAGED, 0)
    assert files.newest() is None
    assert files.receive(mark, 0, STATE) == (ChunkOutcome.COMPLETE, len(STATE))


def test_another_snapshot_takes_the_place_of_one_that_was_arriving(node: Node, files: SnapshotFiles) -> None:
    files.receive(arriving(node, 50), 0, STATE[:2000])
    other = arriving(node, 60, STATE[::-1])
    assert files.receive(other, 0, STATE[::-1]) == (ChunkOutcome.COMPLETE, len(STATE))
    assert files.receive(arriving(node, 50), 0, b"") == (ChunkOutcome.STORED, 0)


@pytest.mark.parametrize("spoil", [False, True], ids=["of other bytes", "damaged"])
def test_one_of_the_same_index_that_waits_here_is_not_taken_for_the_one_that_arrives(
    node: Node, files: SnapshotFiles, spoil: bool
) -> None:
    """The first is whole and was never installed, for its leader lost its place; the next leader, of another version,
    writes the same state down in other bytes."""
    first, second = arriving(node), arriving(node, state=STATE[::-1])
    assert files.receive(first, 0, STATE) == (ChunkOutcome.COMPLETE, len(STATE))
    if spoil:
        path = node.directory / f"{first.index:016d}-{first.term}.snap"
        node.disk.open(path).write_at(b"!!!!", node.disk.size(path) - 8)
    assert files.receive(second, 0, STATE[::-1]) == (ChunkOutcome.COMPLETE, len(STATE))
    assert b"".join(files.open_chunks(second)) == STATE[::-1]
    assert files.receive(second, 0, STATE[:100]) == (ChunkOutcome.COMPLETE, len(STATE))
    assert files.newest() == second


def test_a_newer_format_is_refused_with_both_numbers(
    node: Node, files: SnapshotFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmtui.storage.snapshots.SNAPSHOT_FORMAT", 9)
    files.save(7, 2, node.configuration, [STATE])
    monkeypatch.undo()
    with pytest.raises(NewerFormat, match="has snapshot format 9, this version reads 1"):
        files.newest()


def test_damage_is_told_at_the_end_of_reading(node: Node, files: SnapshotFiles) -> None:
    mark = files.save(7, 2, node.configuration, [STATE])
    path = node.directory / f"{mark.index:016d}-{mark.term}.snap"
    node.disk.flip(path, 100, 1)
    with pytest.raises(DamagedSnapshot, match="its bytes do not agree with its SHA-256"):
        list(files.open_chunks(mark))
    node.disk.create(path, 3)
    with pytest.raises(DamagedSnapshot, match="and no trailer"):
        files.newest()


@pytest.mark.parametrize("what", ["write", "sync", "rename", "sync directory"])
def test_a_failed_write_is_final_and_leaves_no_snapshot(node: Node, files: SnapshotFiles, what: str) -> None:
    def fail_once(step: str, path: Path, length: int) -> None:
        if step == what:
            node.disk.on_step = None
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    node.disk.on_step = fail_once
    with pytest.raises(DiskFailure) as failed:
        files.save(7, 2, node.configuration, [STATE])
    with pytest.raises(DiskFailure) as again:
        files.receive(arriving(node), 0, STATE)
    assert again.value is failed.value
    node.disk.lose_power(lambda: 0.9 if what != "sync directory" else 0.0)
    assert node.open().snapshots.newest() is None


def test_a_full_disk_keeps_the_snapshot_away_and_nothing_else(node: Node, files: SnapshotFiles) -> None:
    old = files.save(5, 1, node.configuration, [b"old"])
    node.disk.capacity_bytes = node.disk.capacity_bytes - node.disk.free_bytes(node.directory) + 3000
    with pytest.raises(NoRoom, match="no room for a snapshot"):
        files.save(7, 2, node.configuration, [STATE])
    assert files.newest() == old
    assert not [name for name in node.disk.names(node.directory) if name.endswith(".tmp")]
    node.write(node.run(2, 3))
    node.disk.capacity_bytes += 1_000_000
    assert files.save(7, 2, node.configuration, [STATE]).index == 7


def test_a_large_snapshot_is_synced_piece_by_piece(
    node: Node, files: SnapshotFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmtui.storage.snapshots.UNSYNCED_BYTES_MAX", 1000)
    unsynced = [0]

    def on_step(what: str, path: Path, length: int) -> None:
        if what == "sync":
            unsynced.append(0)
        elif what == "write":
            unsynced[-1] += length

    node.disk.on_step = on_step
    files.save(7, 2, node.configuration, [STATE[start : start + 100] for start in range(0, len(STATE), 100)])
    assert len(unsynced) == 7
    assert max(unsynced) <= 1000


def test_the_configuration_of_the_snapshot_is_where_the_core_begins(node: Node) -> None:
    node.write(node.run(2, 9))
    other = attrs.evolve(node.configuration, removed=("n9",))
    node.storage.snapshots.save(9, 1, other, [b"state"])
    assert node.open().restored.configuration == other
