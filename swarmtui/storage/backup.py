"""Backup files: the state of a cluster at one index, in one file that says whose it is and is believed whole or not at all.

    magic "SWARMBAK" | format u16 | zeros u16 | length of the head u32
    head (`Head`, as `objects.codec` writes it)
    pieces of the state, `length u32 | bytes`, and a length of 0 behind the last
    SHA-256 of everything before

The state is what a snapshot holds (`store.snapshot`), opaque here. A file is written under another name, made durable and
then given its own; it is readable by its owner alone, for it holds the cluster's secrets. Reading checks the whole before
anything is made of it, so a cut or a flipped bit anywhere is refused with one line.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import attrs

from swarmtui.objects.codec import MalformedObject, decode, encode
from swarmtui.objects.manifest import Manifest
from swarmtui.storage.errors import StorageError
from swarmtui.storage.files import REAL

BACKUP_FORMAT = 1
HEAD_BYTES_MAX = 1024 * 1024
PIECE_BYTES_MAX = 8 * 1024 * 1024
PRIVATE_FILE = 0o600
READ_BYTES = 1024 * 1024

_MAGIC = b"SWARMBAK"
_START = struct.Struct(">8sHHI")
_LENGTH = struct.Struct(">I")
_DIGEST_BYTES = hashlib.sha256().digest_size


class BackupRefused(StorageError):
    """The file cannot be written, or is no backup that can be used. One sentence."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} {reason}")


class AlreadyThere(BackupRefused):
    """Nothing is overwritten unasked."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "exists already; choose another name, or replace it with --force")


@attrs.frozen(kw_only=True)
class Head:
    """Whose state this is. `manifest` names the nodes and settings that the cluster had, for whoever has no cluster file."""

    cluster: str  # id
    index: int
    term: int
    taken_at: float  # seconds since the epoch
    saved_by: str  # the manager that it came from
    manifest: Manifest
    stale: bool = False  # no quorum was asked: what was acknowledged later may be missing


@attrs.frozen
class Saved:
    """What was written."""

    head: Head
    size_bytes: int


class BackupWriter:
    """Writes one backup: `put` its pieces, `finish`, and `close` in any case, which leaves nothing behind that is not
    whole. Every method raises BackupRefused."""

    def __init__(self, path: Path, head: Head, *, replace: bool = False) -> None:
        with _refusing(path):
            exists, is_file = path.exists(), path.is_file()
        if exists and not is_file:  # a device, say, which the new file would take the place of
            raise BackupRefused(path, "is no file that could be replaced; choose another name")
        if exists and not replace:
            raise AlreadyThere(path)
        self._path = path
        self._head = head
        self._beside = path.with_name(f".{path.name}.{os.getpid()}.new")
        self._sha = hashlib.sha256()
        self._size = 0
        with _refusing(path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._file = os.fdopen(os.open(self._beside, flags, PRIVATE_FILE), "wb")
            encoded = encode(head)
            self._add(_START.pack(_MAGIC, BACKUP_FORMAT, 0, len(encoded)) + encoded)

    def _add(self, data: bytes) -> None:
        self._file.write(data)
        self._sha.update(data)
        self._size += len(data)

    def put(self, piece: bytes) -> None:
        """The next piece of the state."""
        if piece:  # an empty one would be taken for the end
            with _refusing(self._path):
                self._add(_LENGTH.pack(len(piece)) + piece)

    def finish(self) -> Saved:
        """It is whole: durable under its name on return."""
        with _refusing(self._path):
            self._add(_LENGTH.pack(0))
            self._file.write(self._sha.digest())
            self._file.flush()
            os.fsync(self._file.fileno())
            os.replace(self._beside, self._path)
            REAL.sync_directory(self._path.parent)
        return Saved(self._head, self._size + _DIGEST_BYTES)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._beside.unlink(missing_ok=True)


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupRefused(path, f"cannot be written: {error.strerror or error}") from None


def check_backup(path: Path) -> Head:
    """Reads the whole file once and says whose it is. Raises BackupRefused."""
    with _opened(path) as (file, size):
        head = _head(path, file)  # first, so that a newer format is told from damage
        file.seek(0)
        sha, left = hashlib.sha256(), size - _DIGEST_BYTES
        while left > 0 and (data := file.read(min(READ_BYTES, left))):
            sha.update(data)
            left -= len(data)
        if sha.digest() != file.read():
            raise BackupRefused(path, "is cut off or damaged: it does not agree with its checksum")
        return head


def read_state(path: Path) -> Iterator[bytes]:
    """The state in a file that `check_backup` has found whole. Raises BackupRefused."""
    with _opened(path) as (file, size):
        _head(path, file)
        while True:
            (length,) = _LENGTH.unpack(_exactly(path, file, _LENGTH.size))
            if length == 0:
                break
            if length > PIECE_BYTES_MAX:
                raise BackupRefused(path, f"holds a piece of {length} bytes, at most {PIECE_BYTES_MAX} are believed")
            yield _exactly(path, file, length)
        if file.tell() != size - _DIGEST_BYTES:
            raise BackupRefused(path, "goes on behind its end")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    try:
        with path.open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except OSError as error:
        raise BackupRefused(path, f"cannot be read: {error.strerror or error}") from None


def _head(path: Path, file: BinaryIO) -> Head:
    start = file.read(_START.size)
    if len(start) < _START.size or not start.startswith(_MAGIC):
        raise BackupRefused(path, "is no backup of a cluster; swarmtui raft snapshot save FILE makes one")
    _, version, _, length = _START.unpack(start)
    if version > BACKUP_FORMAT:
        raise BackupRefused(
            path, f"has backup format {version}, this version reads {BACKUP_FORMAT}: use a newer swarmtui"
        )
    if version != BACKUP_FORMAT or length > HEAD_BYTES_MAX:
        raise BackupRefused(path, "is damaged: its head makes no sense")
    try:
        return decode(_exactly(path, file, length), Head)
    except MalformedObject:
        raise BackupRefused(path, "is damaged: its head cannot be read") from None


def _exactly(path: Path, file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise BackupRefused(path, "is cut off")
    return data
