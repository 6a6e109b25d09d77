"""Files that nobody needs any more: they lose their names at once, and their bytes a little at a time.

To delete 300 MB at once takes ext4 150 to 250 ms, whether they are one snapshot or forty segments of the log, and whoever
syncs meanwhile waits: every write of the cluster, if it is the leader's disk. A name costs next to nothing. So the thread
that has the files in hand takes their names, and another, which rests in between, gives the bytes back.

Never decides what is not needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from swarmtui.storage.files import File, FileOps

FREED_BYTES_MAX = 4 * 1024 * 1024  # at once
NAMELESS_MAX = 256  # files that are kept open to be freed: 2 GiB of log; beyond them the oldest go as a whole


class Discarded:
    """`take` and `free` may be called by two threads at once."""

    def __init__(self, files: FileOps) -> None:
        self.files = files
        self._nameless: deque[tuple[File, int]] = deque()  # with their sizes

    def __len__(self) -> int:
        """Files whose bytes are still taken."""
        return len(self._nameless)

    def take(self, directory: Path, names: Sequence[str]) -> None:
        """Takes these names away, in this order; durable on return, and only then may the bytes go: a file that came back
        after a loss of power, cut short, would be called damaged. Raises OSError."""
        nameless: list[tuple[File, int]] = []
        for path in [directory / name for name in names]:
            with suppress(OSError):  # then it goes as a whole, with its name
                nameless.append((self.files.open(path), self.files.size(path)))
            self.files.unlink(path)
        self.files.sync_directory(directory)
        self._nameless.extend(nameless)
        while len(self._nameless) > NAMELESS_MAX:
            self._close_one()

    def free(self) -> Iterator[None]:
        """Gives the bytes back to the disk, some at each step. What goes wrong here harms nothing."""
        while True:
            try:
                file, size = self._nameless.popleft()
            except IndexError:
                return
            try:
                for left in range(size - FREED_BYTES_MAX, 0, -FREED_BYTES_MAX):
                    file.truncate(left)
                    yield
            except OSError:
                pass  # closed, it goes as a whole
            finally:
                file.close()
            yield

    def close(self) -> None:
        """What is not freed yet goes as a whole."""
        while self._nameless:
            self._close_one()

    def _close_one(self) -> None:
        with suppress(IndexError, OSError):  # the other thread was faster; or the disk has lost what nobody needs
            self._nameless.popleft()[0].close()
