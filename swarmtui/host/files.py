"""What this room does with files beyond replacing one whole (`storage.files`): new private ones, whole trees, last
words."""

from __future__ import annotations

import os
from pathlib import Path

from swarmtui.storage.files import REAL

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700
LAST_WORDS_MAX = 2000  # characters of a process's last line: it names a file, and ends with what to do


def write_new(path: Path, data: bytes) -> None:
    """A file that does not exist yet, readable by its owner only, synced."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_directories(root: Path) -> None:
    """Makes the names in this directory and in all below it durable, the deepest first."""
    for path, _, _ in os.walk(root, topdown=False):
        REAL.sync_directory(Path(path))


def last_line(path: Path) -> str:
    """The last line that says something, shortened; "" if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return said if len(said) <= LAST_WORDS_MAX else said[: LAST_WORDS_MAX - 1] + "…"
