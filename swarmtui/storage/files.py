"""Every file operation of this room, as one small interface: `REAL` is the disk, `simulated` a disk that can fail. And what
whoever keeps a small file replaces it with: `replace_file`.

Nothing is durable until `sync` or `write_durably_at` (bytes of a file) or `sync_directory` (names in it) returns. Errors
are OSErrors.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Protocol

_FULL_SYNC = None
with contextlib.suppress(ImportError, AttributeError):
    import fcntl

    _FULL_SYNC = fcntl.F_FULLFSYNC  # type: ignore[attr-defined,unused-ignore]  # macOS: fsync alone leaves the drive's cache
_WRITE_AND_SYNC = getattr(os, "RWF_DSYNC", None)  # Linux: a flag of one write that makes it durable
_CANNOT = frozenset(
    {errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
)  # an old kernel, or a file system that knows no flags


class File(Protocol):
    """An open file. Offsets and lengths in bytes."""

    def write_at(self, data: bytes, offset: int) -> None: ...

    def write_durably_at(self, data: bytes, offset: int) -> None:
        """These bytes are durable when it returns; of what was written before, that is not said."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes; fewer at the end of the file."""
        ...

    def truncate(self, size: int) -> None:
        """It ends after `size` bytes: for what nobody can find any more, as this is never made durable."""
        ...

    def sync(self) -> None: ...

    def close(self) -> None: ...


class FileOps(Protocol):
    def make_directory(self, path: Path) -> None:
        """Makes it and what is missing above; nothing if it exists."""
        ...

    def names(self, directory: Path) -> list[str]: ...

    def size(self, path: Path) -> int: ...

    def create(self, path: Path, size: int) -> File:
        """A new file of `size` zero bytes, in place of any that has this name."""
        ...

    def open(self, path: Path) -> File: ...

    def rename(self, old: Path, new: Path) -> None: ...

    def unlink(self, path: Path) -> None: ...

    def sync_directory(self, directory: Path) -> None: ...

    def free_bytes(self, directory: Path) -> int:
        """What this user may still write there."""
        ...


class RealFile:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write_at(self, data: bytes, offset: int) -> None:
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._descriptor, rest, offset)
            rest = rest[written:]
            offset += written

    def write_durably_at(self, data: bytes, offset: int) -> None:
        written = self._write_and_sync(data, offset)
        if written < len(data):
            self.write_at(data[written:], offset + written)
            self.sync()

    def _write_and_sync(self, data: bytes, offset: int) -> int:
        """One call of the system where two would do: the thread lets go of the interpreter, and waits for it, once. How many
        bytes are durable by it."""
        if _WRITE_AND_SYNC is None or _FULL_SYNC is not None:
            return 0
        try:
            return os.pwritev(self._descriptor, (data,), offset, _WRITE_AND_SYNC)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            return 0

    def read_at(self, offset: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, offset)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        if _FULL_SYNC is not None:
            fcntl.fcntl(self._descriptor, _FULL_SYNC)
        else:
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class RealFiles:
    def make_directory(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def names(self, directory: Path) -> list[str]:
        return sorted(os.listdir(directory))

    def size(self, path: Path) -> int:
        return path.stat().st_size

    def create(self, path: Path, size: int) -> RealFile:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            if size and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, size)  # the blocks are ours: no full disk in the middle of a segment
            elif size:
                os.ftruncate(descriptor, size)
        except BaseException:
            os.close(descriptor)
            raise
        return RealFile(descriptor)

    def open(self, path: Path) -> RealFile:
        return RealFile(os.open(path, os.O_RDWR | os.O_CLOEXEC))

    def rename(self, old: Path, new: Path) -> None:
        os.replace(old, new)

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def sync_directory(self, directory: Path) -> None:
        descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free_bytes(self, directory: Path) -> int:
        room = os.statvfs(directory)
        return room.f_bavail * room.f_frsize


REAL: FileOps = RealFiles()


def replace_file(path: Path, data: bytes, files: FileOps = REAL, *, durable: bool = True) -> None:
    """The file has its old content or this, never half of one, whoever dies meanwhile; only its owner may read it.
    `durable`: this also survives a loss of power once it returns; without it, the old content, or none, may be found then."""
    beside = path.with_name(path.name + ".tmp")
    file = files.create(beside, 0)
    try:
        file.write_at(data, 0)
        if durable:
            file.sync()
    finally:
        file.close()
    files.rename(beside, path)
    if durable:
        files.sync_directory(path.parent)
