"""A disk in memory that can lose power, tear, flip bits, fill up and fail: what tests and the simulator run storage on.

It knows two states of everything: what programs see, and what is durable. `sync` makes a file's bytes durable and
`sync_directory` the names in a directory; `lose_power` goes back to what is durable, plus whatever part of the rest the
caller's randomness says had reached the disk: any sectors of unsynced writes in any combination, and unsynced changes of
names up to some point.

Deterministic: nothing here but the caller draws.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import attrs

SECTOR = 512
CAPACITY_BYTES = 1 << 40


@attrs.define(eq=False)
class Content:
    """One file's bytes, whatever its name: as seen, as durable, and the writes in between."""

    seen: bytearray = attrs.field(factory=bytearray)
    durable: bytearray = attrs.field(factory=bytearray)
    unsynced: list[tuple[int, bytes]] = attrs.field(factory=list)

    def write(self, offset: int, data: bytes) -> None:
        _overlay(self.seen, offset, data)
        self.unsynced.append((offset, data))

    def sync(self) -> None:
        for offset, data in self.unsynced:
            _overlay(self.durable, offset, data)
        self.unsynced.clear()

    def lose_power(self, draw: Callable[[], float]) -> None:
        for offset, data in self.unsynced:
            for start, piece in _sectors(offset, data):
                if draw() < 0.5:
                    _overlay(self.durable, start, piece)
        self.unsynced.clear()
        self.seen = bytearray(self.durable)


def _overlay(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _sectors(offset: int, data: bytes) -> list[tuple[int, bytes]]:
    """The pieces of a write that each lie in one sector."""
    pieces = []
    start = 0
    while start < len(data):
        stop = min(len(data), start + SECTOR - (offset + start) % SECTOR)
        pieces.append((offset + start, data[start:stop]))
        start = stop
    return pieces


NameChange = tuple[Path, Content | None]
"""A name that was given to a content, or taken away (None)."""


class SimulatedFile:
    """An open file. Dead after a loss of power."""

    def __init__(self, disk: SimulatedDisk, path: Path, content: Content) -> None:
        self._disk, self._path, self._content = disk, path, content
        self._life = disk.lives

    def write_at(self, data: bytes, offset: int) -> None:
        self._step("write", len(data))
        grown = offset + len(data) - len(self._content.seen)
        self._disk.charge(max(0, grown), self._path)
        self._content.write(offset, bytes(data))

    def write_durably_at(self, data: bytes, offset: int) -> None:
        """In two steps, so that power can fail between them."""
        self.write_at(data, offset)
        self.sync()

    def read_at(self, offset: int, length: int) -> bytes:
        self._step("read", length)
        return bytes(self._content.seen[offset : offset + length])

    def truncate(self, size: int) -> None:
        """Durable at once: who cuts what a loss of power could still bring back shall lose it here."""
        self._step("truncate", size)
        del self._content.seen[size:]
        del self._content.durable[size:]

    def sync(self) -> None:
        self._step("sync", 0)
        self._content.sync()

    def close(self) -> None:
        """Closing changes nothing."""

    def _step(self, what: str, length: int) -> None:
        if self._life != self._disk.lives:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), str(self._path))
        self._disk.step(what, self._path, length)


class SimulatedDisk:
    """`FileOps` in memory. `on_step(what, path, length)` is called before every operation and may raise OSError or what
    the test makes of a power cut."""

    def __init__(self, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self.capacity_bytes = capacity_bytes
        self.on_step: Callable[[str, Path, int], None] | None = None
        self.steps = 0
        self.lives = 0  # rises with every loss of power
        self._seen: dict[Path, Content] = {}
        self._durable: dict[Path, Content] = {}
        self._unsynced: list[NameChange] = []
        self._directories: set[Path] = set()

    # ---- what a program does

    def make_directory(self, path: Path) -> None:
        self.step("make directory", path)
        self._directories.update((path, *path.parents))

    def names(self, directory: Path) -> list[str]:
        self.step("list", directory)
        if directory not in self._directories:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(directory))
        return sorted(path.name for path in self._seen if path.parent == directory)

    def size(self, path: Path) -> int:
        return len(self._find(path).seen)

    def create(self, path: Path, size: int) -> SimulatedFile:
        self.step("create", path)
        self.charge(size, path)
        content = Content(bytearray(size))
        if size:
            content.unsynced.append((0, bytes(size)))
        self._name(path, content)
        return SimulatedFile(self, path, content)

    def open(self, path: Path) -> SimulatedFile:
        self.step("open", path)
        return SimulatedFile(self, path, self._find(path))

    def rename(self, old: Path, new: Path) -> None:
        self.step("rename", new)
        content = self._find(old)
        self._name(new, content)
        self._name(old, None)

    def unlink(self, path: Path) -> None:
        self.step("unlink", path)
        if path in self._seen:
            self._name(path, None)

    def sync_directory(self, directory: Path) -> None:
        self.step("sync directory", directory)
        for path, content in self._unsynced:
            if path.parent == directory:
                _rename(self._durable, path, content)
        self._unsynced = [change for change in self._unsynced if change[0].parent != directory]

    def free_bytes(self, directory: Path) -> int:
        return self.capacity_bytes - sum(len(content.seen) for content in self._seen.values())

    # ---- what happens to it

    def lose_power(self, draw: Callable[[], float]) -> None:
        """Everything unsynced happened or not, as `draw` (in [0, 1)) says; open files are dead."""
        self.lives += 1
        for path, content in self._unsynced[: int(draw() * (len(self._unsynced) + 1))]:
            _rename(self._durable, path, content)
        self._unsynced.clear()
        for content in dict.fromkeys(self._durable.values()):
            content.lose_power(draw)
        self._seen = dict(self._durable)

    def lose_process(self) -> None:
        """The process was killed: what it wrote is seen by the next one, durable or not."""
        self.lives += 1

    def flip(self, path: Path, offset: int, bit: int) -> None:
        self.damage(path, offset, bytes([self._find(path).seen[offset] ^ (1 << bit)]))

    def damage(self, path: Path, offset: int, data: bytes) -> None:
        """These bytes are on the disk now, and nobody wrote them."""
        content = self._find(path)
        _overlay(content.seen, offset, data)
        _overlay(content.durable, offset, data)

    def read(self, path: Path) -> bytes:
        return bytes(self._find(path).seen)

    def copy(self) -> SimulatedDisk:
        """Another disk with the same durable and unsynced content."""
        other = SimulatedDisk(self.capacity_bytes)
        known = {*self._seen.values(), *self._durable.values(), *(c for _, c in self._unsynced if c is not None)}
        twins = {
            id(content): Content(bytearray(content.seen), bytearray(content.durable), list(content.unsynced))
            for content in known
        }
        other._seen = {path: twins[id(content)] for path, content in self._seen.items()}
        other._durable = {path: twins[id(content)] for path, content in self._durable.items()}
        other._unsynced = [(path, None if c is None else twins[id(c)]) for path, c in self._unsynced]
        other._directories = set(self._directories)
        return other

    def put_back(self, copy: SimulatedDisk, directory: Path) -> None:
        """Everything below this directory is, durably, as that copy saw it; the rest stays. Open files are dead."""
        self.lives += 1
        for names in (self._seen, self._durable):
            for path in [path for path in names if path.is_relative_to(directory)]:
                del names[path]
        self._unsynced = [change for change in self._unsynced if not change[0].is_relative_to(directory)]
        for path, content in copy._seen.items():
            if path.is_relative_to(directory):
                self._seen[path] = self._durable[path] = Content(bytearray(content.seen), bytearray(content.seen))

    def step(self, what: str, path: Path, length: int = 0) -> None:
        self.steps += 1
        if self.on_step is not None:
            self.on_step(what, path, length)

    def charge(self, length: int, path: Path) -> None:
        if length > self.free_bytes(path.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def _find(self, path: Path) -> Content:
        content = self._seen.get(path)
        if content is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return content

    def _name(self, path: Path, content: Content | None) -> None:
        _rename(self._seen, path, content)
        self._unsynced.append((path, content))


def _rename(names: dict[Path, Content], path: Path, content: Content | None) -> None:
    if content is None:
        names.pop(path, None)
    else:
        names[path] = content
