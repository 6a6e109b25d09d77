"""Snapshot files: a snapshot is there whole, checked by its SHA-256 and durable, or not at all.

    the snapshot's bytes, exactly as they are sent to a follower
    trailer: msgpack of [index, term, configuration, size, checksum]
    length of the trailer u32 | CRC-32 of the trailer u32 | magic "snap" | format u32

It is written under a temporary name and renamed when it is durable. What arrives from a leader gathers in a `.part` file,
named after the checksum of the whole, and goes on after a restart where it stopped.

Safe beside the log's thread: the two share a directory and no file.
"""

from __future__ import annotations

import errno
import hashlib
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import attrs
import msgspec

from swarmtui.raft.configuration import Configuration, InvalidConfiguration, decode_configuration, encode_configuration
from swarmtui.raft.inputs import ChunkOutcome
from swarmtui.raft.messages import SnapshotMark
from swarmtui.storage.discarded import Discarded
from swarmtui.storage.errors import DamagedSnapshot, DiskFailure, NewerFormat, NoRoom
from swarmtui.storage.files import REAL, File, FileOps

SNAPSHOT_FORMAT = 1
READ_BYTES = 256 * 1024
TRAILER_BYTES_MAX = 1024 * 1024
SENDING_MAX = 2  # older snapshots that stay while they are sent: a transfer may take longer than the next snapshot
UNSYNCED_BYTES_MAX = 4 * 1024 * 1024  # or one sync of a large snapshot holds up those of the log

_END = struct.Struct(">II4sI")
_MAGIC = b"snap"
_NAME = re.compile(r"(\d{16,})-(\d+)\.snap")
_PART = re.compile(r"(\d{16,})-(\d+)-([0-9a-f]{64})\.part")


@attrs.define
class Receipt:
    """The snapshot that is arriving."""

    mark: SnapshotMark
    path: Path
    file: File
    size: int
    sha: Any
    synced: int


class SnapshotFiles:
    """The snapshots in one directory. `failure` is sticky, as the log's is.

    `standing_on` is the index of the one that log and state begin with. It need not be the newest: a newer one may have
    arrived of a leader that then lost its place, and a later leader may send an older one, which is installed.
    """

    def __init__(self, path: Path, *, files: FileOps = REAL) -> None:
        self.path = path
        self.files = files
        self.failure: DiskFailure | None = None
        self.standing_on = 0
        self.discarded = Discarded(files)
        self._receipt: Receipt | None = None
        self._sending: list[int] = []  # indexes of those of which a piece was read, and not the last

    # ---- our own

    def save(self, index: int, term: int, configuration: Configuration, chunks: Iterable[bytes]) -> SnapshotMark:
        """Writes a snapshot; durable on return. Raises NoRoom, and then nothing has changed, or DiskFailure."""
        beside = self.path / f"{index:016d}-{term}.snap.tmp"
        with _Guard(self, "writing", beside):
            try:
                mark = self._write(beside, index, term, configuration, chunks)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self.files.unlink(beside)
                raise NoRoom(self.path) from error
            self._name(beside, mark)
        self.standing_on = max(self.standing_on, mark.index)
        return mark

    def stand_on(self, mark: SnapshotMark) -> None:
        """Log and state begin with this one from now on."""
        self.standing_on = mark.index

    def _write(
        self, path: Path, index: int, term: int, configuration: Configuration, chunks: Iterable[bytes]
    ) -> SnapshotMark:
        sha = hashlib.sha256()
        size = synced = 0
        file = self.files.create(path, 0)
        try:
            for chunk in chunks:
                file.write_at(chunk, size)
                sha.update(chunk)
                size += len(chunk)
                if size - synced >= UNSYNCED_BYTES_MAX:
                    file.sync()
                    synced = size
            mark = SnapshotMark(index, term, configuration, size, sha.hexdigest())
            self._finish(file, mark)
        finally:
            file.close()
        return mark

    def newest(self) -> SnapshotMark | None:
        """The mark of the newest snapshot here. Its bytes are checked when they are read. Raises DamagedSnapshot or
        NewerFormat."""
        names = self._snapshots()
        return self._read_mark(self.path / names[-1]) if names else None

    def open_chunks(self, mark: SnapshotMark) -> Iterator[bytes]:
        """The bytes of a snapshot. Raises DamagedSnapshot at the end if they are not those that were written: whoever
        builds something of them must wait for the end."""
        path = self._path(mark)
        file = self.files.open(path)
        try:
            sha = hashlib.sha256()
            offset = 0
            while offset < mark.size_bytes:
                chunk = file.read_at(offset, min(READ_BYTES, mark.size_bytes - offset))
                if not chunk:
                    raise DamagedSnapshot(path, offset, f"it ends before its {mark.size_bytes} bytes")
                sha.update(chunk)
                offset += len(chunk)
                yield chunk
            if sha.hexdigest() != mark.checksum:
                raise DamagedSnapshot(path, 0, "its bytes do not agree with its SHA-256")
        finally:
            file.close()

    def read(self, mark: SnapshotMark, offset: int, length: int) -> bytes | None:
        """A piece to be sent; None if this snapshot is no longer here."""
        try:
            file = self.files.open(self._path(mark))
        except FileNotFoundError:
            return None
        try:
            data = file.read_at(offset, max(0, min(length, mark.size_bytes - offset)))
        finally:
            file.close()
        others = [index for index in self._sending if index != mark.index]
        self._sending = others if offset + len(data) >= mark.size_bytes else [*others, mark.index][-SENDING_MAX:]
        return data

    def discard_older(self) -> None:
        """Deletes every snapshot older than the one that log and state stand on, but for those that are being sent, and
        what once arrived and is no newer. What is newer waits to be installed, though it need not be the newest. Their
        bytes wait in `discarded`. Raises DiskFailure."""
        arriving = self._receipt.path.name if self._receipt is not None else ""
        parts = [name for name in self.files.names(self.path) if _PART.fullmatch(name) and name != arriving]
        gone = [
            *[name for name in self._snapshots() if _index_of(name) < self.standing_on and not self._is_sent(name)],
            *[name for name in parts if _index_of(name) <= self.standing_on],
        ]
        if gone:
            with _Guard(self, "deletion", self.path):
                self.discarded.take(self.path, gone)

    def _is_sent(self, name: str) -> bool:
        return _index_of(name) in self._sending

    # ---- a leader's

    def receive(self, mark: SnapshotMark, offset: int, data: bytes) -> tuple[ChunkOutcome, int]:
        """Stores a piece. The outcome and how many bytes are here, where the next piece belongs; a piece from elsewhere is
        not stored. They are synced now and then only: a power cut costs some pieces, or at the worst, where it leaves
        others than were written, the whole, whose checksum tells. DAMAGED: the whole does not agree with its checksum and
        was thrown away. Raises DiskFailure."""
        if self._is_here(mark):
            return ChunkOutcome.COMPLETE, mark.size_bytes
        with _Guard(self, "writing", self.path):
            receipt = self._receipt_of(mark)
            if offset == receipt.size and data and receipt.size + len(data) <= mark.size_bytes:
                receipt.file.write_at(data, offset)
                receipt.sha.update(data)
                receipt.size += len(data)
                if receipt.size - receipt.synced >= UNSYNCED_BYTES_MAX:
                    receipt.file.sync()
                    receipt.synced = receipt.size
            if receipt.size < mark.size_bytes:
                return ChunkOutcome.STORED, receipt.size
            self._receipt = None
            try:
                if receipt.sha.hexdigest() != mark.checksum:
                    self.files.unlink(receipt.path)
                    return ChunkOutcome.DAMAGED, 0
                self._finish(receipt.file, mark)
            finally:
                receipt.file.close()
            self._name(receipt.path, mark)
            return ChunkOutcome.COMPLETE, mark.size_bytes

    def _is_here(self, mark: SnapshotMark) -> bool:
        """Whole, and this very one: another leader's of the same index may have other bytes."""
        path = self._path(mark)
        try:
            return path.name in self._snapshots() and self._read_mark(path) == mark
        except (DamagedSnapshot, NewerFormat):
            return False

    def close(self) -> None:
        """Lets go of what is arriving; it goes on from there when it is received again."""
        if self._receipt is not None:
            self._receipt.file.close()
            self._receipt = None

    def _receipt_of(self, mark: SnapshotMark) -> Receipt:
        """What has arrived of this snapshot so far, also before a restart; what arrived of others is thrown away."""
        if self._receipt is not None and self._receipt.mark == mark:
            return self._receipt
        self.close()
        path = self.path / f"{mark.index:016d}-{mark.term}-{mark.checksum}.part"
        names = [name for name in self.files.names(self.path) if _PART.fullmatch(name)]
        for name in names:
            if name != path.name:
                self.files.unlink(self.path / name)
        known = path.name in names
        file = self.files.open(path) if known else self.files.create(path, 0)
        size = min(self.files.size(path), mark.size_bytes) if known else 0
        sha = hashlib.sha256()
        for start in range(0, size, READ_BYTES):
            sha.update(file.read_at(start, min(READ_BYTES, size - start)))
        self._receipt = Receipt(mark, path, file, size, sha, synced=size)
        return self._receipt

    # ---- the file

    def _finish(self, file: File, mark: SnapshotMark) -> None:
        trailer = msgspec.msgpack.encode(
            [mark.index, mark.term, encode_configuration(mark.configuration), mark.size_bytes, mark.checksum]
        )
        file.write_at(trailer + _END.pack(len(trailer), crc32(trailer), _MAGIC, SNAPSHOT_FORMAT), mark.size_bytes)
        file.sync()

    def _name(self, beside: Path, mark: SnapshotMark) -> None:
        self.files.rename(beside, self._path(mark))
        self.files.sync_directory(self.path)

    def _path(self, mark: SnapshotMark) -> Path:
        return self.path / f"{mark.index:016d}-{mark.term}.snap"

    def _snapshots(self) -> list[str]:
        """Their names, the newest last."""
        return sorted((name for name in self.files.names(self.path) if _NAME.fullmatch(name)), key=_index_of)

    def _read_mark(self, path: Path) -> SnapshotMark:
        size = self.files.size(path)
        file = self.files.open(path)
        try:
            end = file.read_at(max(0, size - _END.size), _END.size)
            if len(end) < _END.size:
                raise DamagedSnapshot(path, 0, f"it has {size} bytes and no trailer")
            length, checksum, magic, version = _END.unpack(end)
            if magic == _MAGIC and version > SNAPSHOT_FORMAT:
                raise NewerFormat(path, "snapshot", version, SNAPSHOT_FORMAT)
            start = size - _END.size - length
            if magic != _MAGIC or length > TRAILER_BYTES_MAX or start < 0:
                raise DamagedSnapshot(path, size - _END.size, "it does not end with a trailer")
            trailer = file.read_at(start, length)
        finally:
            file.close()
        if crc32(trailer) != checksum:
            raise DamagedSnapshot(path, start, "its trailer does not agree with its checksum")
        try:
            index, term, configuration, size_bytes, sha = msgspec.msgpack.decode(trailer)
            mark = SnapshotMark(index, term, decode_configuration(configuration), size_bytes, sha)
        except (ValueError, InvalidConfiguration) as error:
            raise DamagedSnapshot(path, start, f"its trailer cannot be read: {error}") from None
        if size_bytes != start or self._path(mark) != path:
            raise DamagedSnapshot(path, start, f"it is a snapshot of index {index} of {size_bytes} bytes")
        return mark


def _index_of(name: str) -> int:
    return int(name.split("-", 1)[0])


class _Guard:
    """Turns an OSError into the sticky DiskFailure of the files."""

    def __init__(self, owner: SnapshotFiles, what: str, path: Path) -> None:
        self._owner, self._what, self._path = owner, what, path

    def __enter__(self) -> None:
        if self._owner.failure is not None:
            raise self._owner.failure

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            self._owner.failure = DiskFailure(self._what, self._path, error)
            raise self._owner.failure from error
