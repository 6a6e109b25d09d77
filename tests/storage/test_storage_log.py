"""The log on disk: what was written comes back; what cannot be trusted is refused by name."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

from swarmtui.raft.effects import HardState
from swarmtui.raft.entries import EntryKind
from swarmtui.storage import frames as frames_module
from swarmtui.storage import log as log_module
from swarmtui.storage import segments as segments_module
from swarmtui.storage.errors import (
    DamagedLog,
    DirectoryMissing,
    DiskFailure,
    ForeignDirectory,
    NewerFormat,
    OutOfSequence,
)
from swarmtui.storage.files import REAL
from swarmtui.storage.log import RaftStorage

if TYPE_CHECKING:
    from .conftest import Node


# ----------------------------------------------------------------------------------------------------- birth, coming back


def test_a_new_log_holds_the_configuration_as_its_committed_first_entry(node: Node) -> None:
    restored = node.storage.restored
    assert restored.hard_state == HardState(1, "", 1)
    assert restored.snapshot is None
    assert restored.configuration == node.configuration
    assert [(entry.index, entry.term, entry.kind) for entry in restored.entries] == [(1, 1, EntryKind.CONFIGURATION)]
    assert node.storage.notes == []


def test_entries_and_hard_state_come_back(node: Node) -> None:
    node.write(node.run(2, 5), HardState(3, "n2", 1))
    node.write(hard_state=HardState(4, "", 5))
    restored = node.open().restored
    assert list(restored.entries[1:]) == node.run(2, 5)
    assert restored.hard_state == HardState(4, "", 5)


def test_the_blocks_behind_a_frame_are_written_many_at_once(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """And after a restart again, as nobody knows then which have been."""
    monkeypatch.setattr(log_module, "FILLED_AHEAD_BYTES", 1000)
    lengths: list[int] = []

    def note(what: str, path: Path, length: int) -> None:
        if what == "write":
            lengths.append(length)

    for _ in range(2):
        last = node.open().restored.entries[-1].index
        lengths.clear()
        node.disk.on_step = note
        for index in range(last + 1, last + 4):
            node.write([node.entry(index, data=b"x" * 300)])
        node.disk.on_step = None
        assert [length > 1000 for length in lengths] == [True, False, False]
    assert node.open().restored.entries[-1].index == 7
    assert node.segments() == ["00000001.log"]
    assert node.disk.size(node.directory / "00000001.log") == node.storage.segment_bytes  # never beyond its end


def test_a_truncation_and_what_replaces_it_are_one(node: Node) -> None:
    node.write(node.run(2, 9))
    node.write(node.run(6, 7, term=2), HardState(2, "n1", 1), truncate_after=5)
    restored = node.open().restored
    assert [(entry.index, entry.term) for entry in restored.entries[1:]] == [
        *((index, 1) for index in range(2, 6)),
        (6, 2),
        (7, 2),
    ]


def test_a_group_of_writes_is_one_frame_and_one_sync(node: Node) -> None:
    seen: list[str] = []
    node.disk.on_step = lambda what, path, length: seen.append(what)
    node.storage.write_many(
        [
            node.make(node.run(2, 9)),
            node.make(truncate_after=4, hard_state=HardState(2, "", 1)),
            node.make(node.run(5, 6, term=2)),
        ]
    )
    assert seen == ["write", "sync"]
    node.disk.on_step = None
    assert [entry.index for entry in node.open().restored.entries] == [1, 2, 3, 4, 5, 6]


def test_a_log_goes_on_over_many_segments_and_restarts(node: Node) -> None:
    last = 1
    for step in range(30):
        node.write(node.run(last + 1, last + step % 7), HardState(1 + step, "n1", last))
        last += step % 7
        if step % 4 == 0:
            node.open()
    assert len(node.segments()) > 3
    restored = node.open().restored
    assert list(restored.entries[1:]) == node.run(2, last)
    assert restored.hard_state.term == 30


def test_a_frame_larger_than_a_segment_has_one_of_its_own(node: Node) -> None:
    large = [node.entry(2, data=os.urandom(20_000)), node.entry(3)]
    node.write(large)
    node.write(node.run(4, 4))
    assert list(node.open().restored.entries[1:]) == [*large, *node.run(4, 4)]


def test_values_of_zeros_come_back(node: Node) -> None:
    entries = [node.entry(index, data=bytes(3000)) for index in range(2, 6)]
    for entry in entries:
        node.write([entry])
    assert list(node.open().restored.entries[1:]) == entries


def test_what_recovery_read_is_made_durable_first(node: Node) -> None:
    """A process killed between its write and its sync leaves a frame that the next process reads from the page cache."""
    kill = PowerOff(node, at="sync")
    with pytest.raises(KeyboardInterrupt):
        node.write(node.run(2, 4))
    kill.undo()
    node.disk.lose_process()
    assert len(node.open().restored.entries) == 4
    node.disk.lose_power(lambda: 0.9)  # nothing unsynced survives
    assert len(node.open().restored.entries) == 4


class PowerOff:
    """Ends the process at the first step of this kind."""

    def __init__(self, node: Node, at: str) -> None:
        self._node, self._at = node, at
        node.disk.on_step = self._step

    def _step(self, what: str, path: Path, length: int) -> None:
        if what == self._at:
            raise KeyboardInterrupt

    def undo(self) -> None:
        self._node.disk.on_step = None


# ------------------------------------------------------------------------------------------------------------ compaction


def fill(node: Node, upto: int = 120) -> None:
    for index in range(2, upto + 1, 4):
        node.write(node.run(index, min(index + 3, upto)), HardState(1, "n1", index))


def test_compaction_deletes_whole_segments_and_the_first_index_is_right_after_a_restart(node: Node) -> None:
    fill(node)
    before = node.segments()
    node.storage.snapshots.save(100, 1, node.configuration, [b"state"])
    node.storage.compact(70)
    after = node.segments()
    assert len(after) < len(before)
    assert after == before[-len(after) :]
    node.write(node.run(121, 121))
    restored = node.open().restored
    assert [entry.index for entry in restored.entries] == list(range(71, 122))
    assert restored.snapshot is not None
    assert restored.snapshot.index == 100


def test_compaction_never_touches_the_newest_segment(node: Node) -> None:
    fill(node)
    node.storage.snapshots.save(120, 1, node.configuration, [b"state"])
    node.storage.compact(120)
    assert len(node.segments()) == 1
    node.write(node.run(121, 122), HardState(2, "n2", 120))
    restored = node.open().restored
    assert [entry.index for entry in restored.entries] == [121, 122]
    assert restored.hard_state == HardState(2, "n2", 120)


def test_disk_use_stays_bounded_over_many_compactions(node: Node) -> None:
    largest = 0
    for index in range(2, 2_000):
        node.write(node.run(index, index))
        if index % 50 == 0:
            node.storage.snapshots.save(index, 1, node.configuration, [b"state"])
            node.storage.snapshots.discard_older()
            node.storage.compact(index - 10)
        largest = max(largest, node.storage.size_bytes)
    assert largest < 12 * 4096
    restored = node.open().restored
    assert (restored.entries[0].index, restored.entries[-1].index) == (1941, 1999)


@pytest.mark.parametrize("compacted", [1, 2, 30, 31, 32, 33, 119, 120])
def test_compaction_at_any_index(node: Node, compacted: int) -> None:
    fill(node)
    node.storage.snapshots.save(max(compacted, 60), 1, node.configuration, [b"state"])
    node.storage.compact(compacted)
    node.write(node.run(121, 121))
    restored = node.open().restored
    assert restored.entries[0].index == compacted + 1
    assert list(restored.entries) == node.run(compacted + 1, 121)


def test_a_log_whose_snapshot_is_gone_is_refused(node: Node) -> None:
    fill(node)
    mark = node.storage.snapshots.save(100, 1, node.configuration, [b"state"])
    node.storage.compact(100)
    node.disk.unlink(node.directory / f"{mark.index:016d}-{mark.term}.snap")
    with pytest.raises(DamagedLog, match=r"the log begins behind index .* and its snapshot is missing"):
        node.open()


# ------------------------------------------------------------------------------------------------- a received snapshot


def test_a_received_snapshot_replaces_the_log(node: Node) -> None:
    fill(node, 40)
    mark = node.storage.snapshots.save(500, 7, node.configuration, [b"state"])
    node.storage.install(mark, [])
    assert len(node.segments()) == 1
    node.write(node.run(501, 502, term=7))
    restored = node.open().restored
    assert restored.snapshot == mark
    assert [entry.index for entry in restored.entries] == [501, 502]
    assert restored.hard_state.term == 1


def test_entries_behind_a_received_snapshot_that_agree_are_kept(node: Node) -> None:
    fill(node, 40)
    mark = node.storage.snapshots.save(30, 1, node.configuration, [b"state"])
    node.storage.install(mark, node.run(31, 40))
    assert [entry.index for entry in node.open().restored.entries] == list(range(31, 41))


@pytest.mark.parametrize(("index", "term"), [(500, 7), (30, 2)], ids=["behind the log", "in conflict with it"])
def test_an_installation_that_was_cut_off_is_finished_by_recovery(node: Node, index: int, term: int) -> None:
    fill(node, 40)
    node.storage.snapshots.save(index, term, node.configuration, [b"state"])
    storage = node.open()
    assert storage.restored.entries == ()
    assert "the log was put behind the received snapshot" in storage.notes[0]
    node.write(node.run(index + 1, index + 1, term=term))
    again = node.open()
    assert [entry.index for entry in again.restored.entries] == [index + 1]
    assert again.notes == []


# --------------------------------------------------------------------------------------------------------------- refusals


def test_a_torn_tail_is_truncated_with_a_note_and_the_log_goes_on(node: Node) -> None:
    node.write(node.run(2, 3))
    path = node.directory / node.segments()[-1]
    end = len(node.disk.read(path).rstrip(b"\0"))
    node.write(node.run(4, 20))
    stop = len(node.disk.read(path).rstrip(b"\0"))
    node.disk.damage(path, end + 600, bytes(stop - end - 600))
    storage = node.open()
    assert [entry.index for entry in storage.restored.entries] == [1, 2, 3]
    assert "truncated at byte" in storage.notes[0]
    assert "never acknowledged" in storage.notes[0]
    node.write(node.run(4, 4, term=2))
    again = node.open()
    assert again.notes == []
    assert [entry.term for entry in again.restored.entries] == [1, 1, 1, 2]


def test_what_a_torn_frame_left_far_behind_is_no_part_of_the_next_one(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sector that was never written is known by its zeros; one that holds what an older frame left there would make a torn
    frame pass for a damaged one, and the node would never start again."""
    monkeypatch.setattr(log_module, "FILLED_AHEAD_BYTES", 0)
    node.write(node.run(2, 3))
    path = node.directory / node.segments()[-1]
    end = len(node.disk.read(path).rstrip(b"\0"))
    node.write(node.run(4, 20))
    far = (end // 512 + 3) * 512
    node.disk.damage(path, end, bytes(far - end))  # all but its last sectors were lost
    assert "truncated at byte" in node.open().notes[0]
    before = node.disk.read(path)[far : far + 512]
    node.write(node.run(4, 20, term=2))
    node.disk.damage(path, far, before)  # this one was lost
    storage = node.open()
    assert "truncated at byte" in storage.notes[0]
    assert [entry.index for entry in storage.restored.entries] == [1, 2, 3]


def test_damage_names_file_and_place_and_how_to_join_again(node: Node) -> None:
    node.write(node.run(2, 3))
    node.write(node.run(4, 5))
    path = node.directory / node.segments()[0]
    node.disk.flip(path, 400, 3)
    with pytest.raises(DamagedLog) as refused:
        node.open()
    text = str(refused.value)
    assert text.startswith(f"{path} is damaged at byte ")
    assert f"swarmtui node rm --force {path.parent.parent.name} && swarmtui swarm join --role manager" in text
    assert refused.value.file == path
    assert 0 < refused.value.offset <= 400


def test_a_missing_segment_is_noticed(node: Node) -> None:
    fill(node)
    names = node.segments()
    lost = node.disk.copy()
    lost.unlink(node.directory / names[1])
    with pytest.raises(DamagedLog, match=f"{names[1]}, is missing"):
        type(node)(lost).open()


def test_a_segment_that_lost_its_end_is_noticed_by_the_next_one(node: Node) -> None:
    fill(node)
    first = node.directory / node.segments()[0]
    data = node.disk.read(first)
    end = len(data.rstrip(b"\0"))
    node.disk.damage(first, end - 700, bytes(700))
    with pytest.raises(DamagedLog, match=r"frames are missing at its end, yet 00000002\.log follows it"):
        node.open()


def test_the_log_of_another_node_is_refused(node: Node) -> None:
    with pytest.raises(DamagedLog, match="is of another node than n2"):
        RaftStorage.open(node.directory, "n2", file_ops=node.disk)


def test_a_directory_without_a_log_is_refused(node: Node) -> None:
    for path in (Path("/nowhere"), node.directory.parent):
        with pytest.raises(DirectoryMissing, match="swarmtui node rm --force NAME"):
            RaftStorage.open(path, "n1", file_ops=node.disk)


def test_a_log_is_never_begun_twice(node: Node) -> None:
    with pytest.raises(ForeignDirectory, match="it holds a log already"):
        RaftStorage.create(node.directory, "n1", node.configuration, file_ops=node.disk)


@pytest.mark.parametrize(
    ("module", "name", "what"),
    [(segments_module, "SEGMENT_FORMAT", "segment"), (frames_module, "FRAME_FORMAT", "frame")],
)
def test_a_newer_format_is_refused_with_both_numbers(
    any_node: type[Node], module: object, name: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, 9)
    newer = any_node()
    monkeypatch.undo()
    before = newer.disk.read(newer.directory / "00000001.log")
    with pytest.raises(NewerFormat, match=f"has {what} format 9, this version reads 1"):
        newer.open()
    assert newer.disk.read(newer.directory / "00000001.log") == before


def test_newer_entries_are_refused_with_both_numbers(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmtui.raft.entries.ENTRY_FORMAT", 9)
    node.write(node.run(2, 2))
    monkeypatch.undo()
    with pytest.raises(NewerFormat, match="has entry format 9, this version reads 1"):
        node.open()


def test_writes_that_do_not_continue_the_log_are_a_bug_of_the_caller(node: Node) -> None:
    node.write(node.run(2, 5), HardState(4, "", 1))
    for wrong in (node.make(node.run(7, 7)), node.make(node.run(4, 4)), node.make(hard_state=HardState(3, "", 1))):
        with pytest.raises(OutOfSequence):
            node.storage.write(wrong)
    node.write(node.run(6, 6))
    assert len(node.open().restored.entries) == 6


# ----------------------------------------------------------------------------------------------------- a disk that fails


@pytest.mark.parametrize("what", ["write", "sync", "create", "rename", "sync directory"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_failed_write_or_sync_is_final(node: Node, what: str, number: int) -> None:
    def fail_once(step: str, path: Path, length: int) -> None:
        if step == what:
            node.disk.on_step = None
            raise OSError(number, os.strerror(number))

    node.disk.on_step = fail_once
    with pytest.raises(DiskFailure, match=os.strerror(number)) as first:
        fill(node)
    assert node.storage.failure is first.value
    for action in (
        lambda: node.write(node.run(2, 2)),
        lambda: node.storage.install(node.storage.snapshots.save(9, 1, node.configuration, [b""]), []),
    ):
        with pytest.raises(DiskFailure) as again:
            action()
        assert again.value is first.value


def test_a_full_disk_never_stops_a_segment_in_its_middle(node: Node) -> None:
    node.disk.capacity_bytes = 4096 * 3
    with pytest.raises(DiskFailure, match=os.strerror(errno.ENOSPC)):
        fill(node)
    node.disk.capacity_bytes = 1 << 30
    kept = node.open().restored.entries
    assert list(kept[1:]) == node.run(2, kept[-1].index)


def test_room_on_the_disk_is_told(node: Node) -> None:
    node.disk.capacity_bytes = 100_000
    assert node.storage.free_bytes() == 100_000 - 4096


def test_a_real_disk(tmp_path: Path, node: Node) -> None:
    path = tmp_path / "raft"
    RaftStorage.create(path, "n1", node.configuration)
    assert (path / "00000001.log").stat().st_size == 8 * 1024 * 1024
    assert (path / "00000001.log").stat().st_mode & 0o077 == 0
    storage = RaftStorage.open(path, "n1")
    storage.write(node.make(node.run(2, 50), HardState(2, "n1", 1)))
    storage.close()
    again = RaftStorage.open(path, "n1", file_ops=REAL)
    assert attrs.astuple(again.restored.hard_state) == (2, "n1", 1)
    assert list(again.restored.entries[1:]) == node.run(2, 50)
    assert again.free_bytes() > 0
    again.close()


@pytest.mark.parametrize("answer", ["all", "some", "none", errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
def test_a_frame_is_durable_whether_or_not_the_system_can_write_and_sync_in_one(
    tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch, answer: str | int
) -> None:
    calls: list[str] = []
    fdatasync = os.fdatasync

    def pwritev(descriptor: int, buffers: Sequence[bytes], offset: int, flags: int) -> int:
        calls.append("both")
        if isinstance(answer, int):
            raise OSError(answer, os.strerror(answer))
        return os.pwrite(descriptor, buffers[0][: {"all": None, "some": 7, "none": 0}[answer]], offset)

    def sync(descriptor: int) -> None:
        calls.append("sync")
        fdatasync(descriptor)

    path, entries = tmp_path / "raft", node.run(2, 9)
    RaftStorage.create(path, "n1", node.configuration)
    storage = RaftStorage.open(path, "n1", file_ops=REAL)
    monkeypatch.setattr(os, "pwritev", pwritev)
    monkeypatch.setattr(os, "fdatasync", sync)
    storage.write(node.make(entries))
    assert calls == (["both"] if answer == "all" else ["both", "sync"])
    storage.close()
    again = RaftStorage.open(path, "n1", file_ops=REAL)
    assert list(again.restored.entries[1:]) == entries
    again.close()


def test_an_error_of_the_one_call_is_the_disks(tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def pwritev(*arguments: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path, entries = tmp_path / "raft", node.run(2, 9)
    RaftStorage.create(path, "n1", node.configuration)
    storage = RaftStorage.open(path, "n1", file_ops=REAL)
    monkeypatch.setattr(os, "pwritev", pwritev)
    write = node.make(entries)
    with pytest.raises(DiskFailure):
        storage.write(write)
    monkeypatch.undo()
    with pytest.raises(DiskFailure):
        storage.write(write)
    storage.close()


# ------------------------------------------------------------------------------------------------------------- joining


def test_the_log_of_a_manager_that_joins_is_empty_and_takes_its_members_from_the_introduction(
    node: Node, tmp_path: Path
) -> None:
    RaftStorage.create(tmp_path / "new", "n9", None)
    storage = RaftStorage.open(tmp_path / "new", "n9", introduction=node.configuration)
    assert storage.restored.entries == ()
    assert storage.restored.hard_state == HardState()
    assert storage.restored.configuration == node.configuration
    storage.close()


def test_an_introduction_is_not_believed_of_a_log_that_has_begun(node: Node, tmp_path: Path) -> None:
    other = attrs.evolve(node.configuration, voters=node.configuration.voters[:1])
    RaftStorage.create(tmp_path / "new", "n1", node.configuration)
    storage = RaftStorage.open(tmp_path / "new", "n1", introduction=other)
    assert storage.restored.configuration == node.configuration
    storage.close()


def test_an_empty_log_without_an_introduction_is_damage(tmp_path: Path) -> None:
    RaftStorage.create(tmp_path / "new", "n9", None)
    with pytest.raises(DamagedLog):
        RaftStorage.open(tmp_path / "new", "n9")
