"""Files: whatever lies under a name that is read at a start is what was written there, or one named refusal."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

from swarmtui.objects.codec import encode_json
from swarmtui.objects.manifest import Manifest, NodeBirth, NodeEntry
from swarmtui.objects.states import NodeRole
from swarmtui.storage.backup import BackupRefused, BackupWriter, Head, check_backup, read_state
from swarmtui.storage.directory import open_node_directory
from swarmtui.storage.errors import StorageError
from swarmtui.storage.seen import OlderDirectory, Seen, begin_start
from swarmtui.storage.snapshots import SnapshotFiles
from tests.fuzz.bytes_targets import MEMBERS

NODE = NodeEntry(id="a", name="n1", role=NodeRole.MANAGER, address="127.0.0.1:1")
MANIFEST = Manifest(id="c", name="dev", profile="fast", created_at=1.5, nodes=(NODE,))
PIECES = (b"one" * 50, b"\0" * 600, b"three")


@contextmanager
def _file(name: str, data: bytes | None = None) -> Iterator[Path]:
    """A path in a directory of its own, with these bytes."""
    with tempfile.TemporaryDirectory(prefix="swarmtui-fuzz-") as directory:
        path = Path(directory) / name
        if data is not None:
            path.write_bytes(data)
        yield path


def backup_file(data: bytes) -> None:
    """Checked or not, no more comes out of it than is in it."""
    with _file("backup", data) as path:
        with suppress(BackupRefused):
            check_backup(path)
        with suppress(BackupRefused):
            assert sum(map(len, read_state(path))) <= len(data)


def backup_file_seeds() -> list[bytes]:
    with _file("backup") as path:
        head = Head(cluster="c", index=7, term=2, taken_at=1.5, saved_by="n1", manifest=MANIFEST)
        writer = BackupWriter(path, head)
        for piece in PIECES:
            writer.put(piece)
        writer.finish()
        writer.close()
        return [path.read_bytes()]


def snapshot_file(data: bytes) -> None:
    """A snapshot that is believed is the one that was written."""
    with _file("0000000000000007-2.snap", data) as path, suppress(StorageError):
        files = SnapshotFiles(path.parent)
        mark = files.newest()
        assert mark is not None
        assert (mark.index, mark.term) == (7, 2)
        assert len(b"".join(files.open_chunks(mark))) == mark.size_bytes


def snapshot_file_seeds() -> list[bytes]:
    with _file("-") as path:
        SnapshotFiles(path.parent).save(7, 2, MEMBERS, PIECES)
        return [(path.parent / "0000000000000007-2.snap").read_bytes()]


def node_file(data: bytes) -> None:
    """`node.json`: who this directory is, or why nobody."""
    with _file("node.json", data) as path, suppress(StorageError), open_node_directory(path.parent) as opened:
        assert opened.birth.node_id in (opened.node.id, opened.node.name)


def node_file_seeds() -> list[bytes]:
    return [encode_json(NodeBirth(node_id="a", manifest=MANIFEST)).encode()]


def seen_file(data: bytes) -> None:
    """`seen.json` in the directory: what it says is believed or not, and the start is counted or refused."""
    with _file("seen.json", data) as path:
        now = Seen(member="a", term=3, commit=9)
        with suppress(OlderDirectory):
            assert begin_start(path.parent / "n1", path.parent, now, 9).starts >= 1


def seen_file_seeds() -> list[bytes]:
    return [encode_json(attrs.evolve(Seen(member="a"), starts=2, term=3, commit=5)).encode()]
