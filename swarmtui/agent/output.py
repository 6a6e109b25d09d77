"""Reading back what tasks wrote: the last lines of a task, and what follows, across rotations.

The launcher writes (`launcher_output`), here it is read, in worker threads. Following looks at the file ten times a second,
and only while somebody follows.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

import trio

from swarmtui.agent.launcher_output import OUTPUT_FILES_MAX, OUTPUT_NAME
from swarmtui.wire.node_calls import OUTPUT_TAIL_MAX, OutputLine, OutputLines

FOLLOW_PAUSE_S = 0.1
CHUNK_LINES_MAX = 500
READ_BYTES = 256 * 1024


async def read_output(
    task_id: str, directory: Path, tail: int, follow: bool, runs: Callable[[], bool]
) -> AsyncIterator[OutputLines]:
    """The last `tail` lines of a task, in chunks; with `follow` also those to come, until it has ended and all is read.
    One chunk at least, if only to say what is missing."""
    reader = OutputReader(directory / OUTPUT_NAME)
    try:
        lines = await trio.to_thread.run_sync(reader.tail, max(0, min(tail, OUTPUT_TAIL_MAX)))
        ran = runs()
        if not lines:
            missing = "" if ran or reader.exists else "the task wrote nothing, or nothing is left"
            yield OutputLines(task_id, (), missing, caught_up=True)
        for start in range(0, len(lines), CHUNK_LINES_MAX):
            end = start + CHUNK_LINES_MAX
            yield OutputLines(task_id, tuple(lines[start:end]), caught_up=end >= len(lines))
        while follow:
            ran = runs()  # asked before reading: what it wrote before it ended is then in the file
            lines, missing = await trio.to_thread.run_sync(reader.more)
            if lines or missing:
                yield OutputLines(task_id, tuple(lines), missing)
            elif not ran:
                return
            else:
                await trio.sleep(FOLLOW_PAUSE_S)
    finally:
        reader.close()


class OutputReader:
    """A place in the output of one task. Blocking."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""

    @property
    def exists(self) -> bool:
        return self._path.exists()

    def tail(self, count: int) -> list[OutputLine]:
        """The last lines of all files there are; the place is their end. No more is read than holds them."""
        wanted, newest_first = count, list[BinaryIO]()
        for number in range(OUTPUT_FILES_MAX):
            file = self._open(number)
            if file is None:
                continue
            if newest_first and os.path.sameopenfile(file.fileno(), newest_first[-1].fileno()):
                file.close()  # rotated between the two looks: the same file under its next number
                continue
            newest_first.append(file)
            wanted -= _seek_back(file, wanted)
            if not wanted:
                break
        lines: deque[OutputLine] = deque(maxlen=count)
        for file in reversed(newest_first):
            self.close()
            self._file = file
            while batch := self._read():
                lines.extend(batch)
        return list(lines)

    def more(self) -> tuple[list[OutputLine], str]:
        """What was written since, at most one chunk, and a sentence if some of it was rotated away unread."""
        while True:
            if self._file is None:
                self._file = self._open(0)
                if self._file is None:
                    return [], ""
            place = self._place()  # asked before reading: a file that has been moved on is written to no more
            lines = self._read()
            if lines or place == 0:
                return lines, ""
            self.close()
            self._file = self._open(OUTPUT_FILES_MAX - 1 if place is None else place - 1)
            if place is None:
                return [], "some lines were rotated away before they could be read"

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._rest = b""

    def _open(self, number: int) -> BinaryIO | None:
        try:
            return open(self._numbered(number), "rb")  # held as the reader's place
        except OSError:
            return None

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _place(self) -> int | None:
        """Which of the rotated files is being read: 0 is the newest, None means that it is gone."""
        assert self._file is not None
        own = os.fstat(self._file.fileno())
        for number in range(OUTPUT_FILES_MAX):
            try:
                there = os.stat(self._numbered(number))
            except OSError:
                continue
            if (there.st_ino, there.st_dev) == (own.st_ino, own.st_dev):
                return number
        return None

    def _read(self) -> list[OutputLine]:
        """Whole lines from the place on; a line that is being written is left for later."""
        assert self._file is not None
        lines: list[OutputLine] = []
        while not lines:
            data = self._file.read(READ_BYTES)
            if not data:
                return []
            *whole, self._rest = (self._rest + data).split(b"\n")
            lines = [line for line in map(_parse, whole) if line is not None]
        return lines


def _seek_back(file: BinaryIO, count: int) -> int:
    """Go to where the last `count` whole lines begin, or to the beginning; how many lines lie from there to the end."""
    position, found = file.seek(0, os.SEEK_END), 0
    while position and count:
        start = max(0, position - READ_BYTES)
        file.seek(start)
        block = file.read(position - start)
        ends = block.count(b"\n")
        if found + ends > count:  # in here is the end of the line before them
            place = len(block)
            for _ in range(count - found + 1):
                place = block.rindex(b"\n", 0, place)
            file.seek(start + place + 1)
            return count
        position, found = start, found + ends
        file.seek(0)
    return found


def _parse(data: bytes) -> OutputLine | None:
    try:
        fields = json.loads(data)
        return OutputLine(float(fields["time"]), str(fields["stream"]), str(fields["text"]))
    except (ValueError, KeyError, TypeError):  # cut off by a crash or a full disk
        return None
