"""Writing files so that a crash leaves the old one or the new one, and never half of one."""

from __future__ import annotations

import os
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700


def write_new(path: Path, data: bytes) -> None:
    """A file that does not exist yet, readable by its owner only, synced."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, data: bytes, *, sync: bool = True) -> None:
    """The file as it was, or as it is now. `sync` also against a power cut of the machine."""
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        if sync:
            os.fsync(file.fileno())
    os.replace(beside, path)
    if sync:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Makes names in a directory durable: created, renamed and removed ones."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directories(root: Path) -> None:
    """`sync_directory` of this directory and of all below it, the deepest first."""
    for path, _, _ in os.walk(root, topdown=False):
        sync_directory(Path(path))


def last_line(path: Path, *, characters_max: int = 200) -> str:
    """The last line that says something, shortened; "" if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return said if len(said) <= characters_max else said[: characters_max - 1] + "…"
