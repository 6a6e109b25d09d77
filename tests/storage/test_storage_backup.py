"""Backup files: believed whole or not at all, never overwritten unasked, and never left half written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import attrs
import pytest

from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.states import NodeRole
from swarmtui.storage.backup import AlreadyThere, BackupRefused, BackupWriter, Head, check_backup, read_state

N1 = NodeEntry(id="abc", name="n1", role=NodeRole.MANAGER, address="127.0.0.1:7101", labels={"zone": "a"})
MANIFEST = Manifest(id="c", name="dev", profile="fast", created_at=1.5, nodes=(N1,))
HEAD = Head(cluster="c", index=412, term=7, taken_at=1000.5, saved_by="n1", manifest=MANIFEST)
STATE = [b"one" * 20, b"two", b"\0" * 40]


def save(path: Path, state: list[bytes] | None = None, *, replace: bool = False, head: Head = HEAD) -> int:
    writer = BackupWriter(path, head, replace=replace)
    try:
        for piece in STATE if state is None else state:
            writer.put(piece)
        return writer.finish().size_bytes
    finally:
        writer.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "dev.swarm"
    assert save(path) == path.stat().st_size
    return path


def test_what_is_saved_is_read(path: Path) -> None:
    assert check_backup(path) == HEAD
    assert list(read_state(path)) == STATE
    assert path.stat().st_mode & 0o777 == 0o600
    assert [name.name for name in path.parent.iterdir()] == [path.name]


def test_an_empty_state_is_a_state(tmp_path: Path) -> None:
    save(tmp_path / "x", [b""])
    assert check_backup(tmp_path / "x") == HEAD
    assert list(read_state(tmp_path / "x")) == []


def test_it_is_refused_cut_at_any_byte(path: Path) -> None:
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(BackupRefused) as refused:
            check_backup(path)
        assert "\n" not in str(refused.value)


def test_it_is_refused_with_any_bit_flipped(path: Path) -> None:
    data = path.read_bytes()
    for offset in range(len(data)):
        damaged = bytearray(data)
        damaged[offset] ^= 1 << offset % 8
        path.write_bytes(damaged)
        with pytest.raises(BackupRefused):
            check_backup(path)


def test_it_is_refused_with_anything_behind_it(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BackupRefused, match="does not agree with its checksum"):
        check_backup(path)


@pytest.mark.parametrize("data", [b"", b"rubbish", b"PK\x03\x04" * 100, b"SWARMBA", bytes(1000)])
def test_another_file_is_no_backup(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(BackupRefused, match="is no backup of a cluster; swarmtui raft snapshot save FILE makes one"):
        check_backup(path)


def test_a_newer_format_is_refused_with_both_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmtui.storage.backup.BACKUP_FORMAT", 9)
    save(tmp_path / "x")
    monkeypatch.undo()
    with pytest.raises(BackupRefused, match="has backup format 9, this version reads 1: use a newer swarmtui"):
        check_backup(tmp_path / "x")


def test_a_missing_file_or_a_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="cannot be read: No such file"):
        check_backup(tmp_path / "x")
    with pytest.raises(BackupRefused, match="cannot be read: Is a directory"):
        check_backup(tmp_path)
    with pytest.raises(BackupRefused, match="cannot be written: No such file"):
        save(tmp_path / "nowhere" / "x")


def test_nothing_is_overwritten_unasked(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(AlreadyThere, match="exists already; choose another name, or replace it with --force"):
        save(path)
    assert path.read_bytes() == before
    save(path, [b"other"], replace=True, head=attrs.evolve(HEAD, index=500))
    assert check_backup(path).index == 500


@pytest.mark.parametrize("replace", [False, True])
def test_what_is_no_file_is_never_replaced(tmp_path: Path, replace: bool) -> None:
    """A device was: root, who named /dev/null to throw the backup away, had a file in its place."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for place in (tmp_path / "pipe", tmp_path / "link", tmp_path, Path("/"), Path()):
        with pytest.raises(BackupRefused, match=r"is no file that could be replaced; choose another name$"):
            save(place, replace=replace)
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(name.name for name in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="cannot be written: File name too long"):
        save(tmp_path / ("x" * 300))


def test_what_was_not_finished_leaves_what_was_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()
    writer = BackupWriter(path, HEAD, replace=True)
    writer.put(b"half")
    writer.close()
    assert path.read_bytes() == before
    assert [name.name for name in path.parent.iterdir()] == [path.name]

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BackupRefused, match="cannot be written: No space left on device"):
        save(path, replace=True)
    assert path.read_bytes() == before
    assert [name.name for name in path.parent.iterdir()] == [path.name]
