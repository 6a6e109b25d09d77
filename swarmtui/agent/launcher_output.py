"""What a task writes, kept: a JSON object a line, with time and stream, in a file that is rotated. Part of the launcher:
standard library only.

The launcher reads the pipes, not the node: a task that prints without end then costs the node's event loop, and with it
the elections, nothing. Such a task is slowed down: each may fill OUTPUT_BYTES_PER_S of files, and what does not fit waits
in its pipe. `output` (the node's side) reads the files back.
"""

from __future__ import annotations

import contextlib
import os
import time
from json.encoder import encode_basestring_ascii as quote  # the C one, where there is one

OUTPUT_NAME = "output.jsonl"  # then output.jsonl.1 and .2, older
OUTPUT_FILES_MAX = 3
OUTPUT_FILE_BYTES_MAX = 10 * 1024 * 1024
OUTPUT_BYTES_PER_S = 8 * 1024 * 1024  # of each task, as written: with its time a line of two bytes takes sixty
OUTPUT_BURST_BYTES = 2 * OUTPUT_BYTES_PER_S
LINE_BYTES_MAX = 16 * 1024  # a longer line is cut into several, as Docker does
READ_BYTES = 16 * 1024  # at once from one pipe: small, so that other tasks and requests get their turn
LAST_LINE_CHARACTERS_MAX = 200


class Recorder:
    """The output of one task: two pipes in, one rotated file out."""

    def __init__(self, directory: str, streams: dict[int, str], file_bytes_max: int = OUTPUT_FILE_BYTES_MAX) -> None:
        self.streams = streams  # descriptor to name, of those still open
        self.last_error_line = ""
        self.failure = ""  # why nothing is written any more: the disk
        self._path = os.path.join(directory, OUTPUT_NAME)
        self._file_bytes_max = file_bytes_max
        self._partial = dict.fromkeys(streams.values(), b"")
        self._file = -1
        self._size = 0
        self._allowance = float(OUTPUT_BURST_BYTES)
        self._refilled_at = time.monotonic()

    def throttled(self, now: float) -> bool:
        """True while this task has written more than its share; its pipes are then left alone."""
        self._allowance = min(OUTPUT_BURST_BYTES, self._allowance + (now - self._refilled_at) * OUTPUT_BYTES_PER_S)
        self._refilled_at = now
        return self._allowance <= 0

    def read(self, descriptor: int) -> bool:
        """Takes what a pipe holds, at most READ_BYTES. False at its end: it is closed then."""
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        name = self.streams[descriptor]
        if not data:
            self._close(descriptor)
            return False
        *lines, rest = (self._partial[name] + data).split(b"\n")
        while len(rest) > LINE_BYTES_MAX:
            lines.append(rest[:LINE_BYTES_MAX])
            rest = rest[LINE_BYTES_MAX:]
        self._partial[name] = rest
        if lines:
            self._write(name, lines)
        return True

    def finish(self) -> None:
        """Takes what is left in the pipes, without waiting for whoever may still hold them, and closes everything."""
        for descriptor in list(self.streams):
            for _ in range(1024 * 1024 // READ_BYTES):  # a pipe holds at most a megabyte
                before = self._size, self._partial[self.streams[descriptor]]
                if not self.read(descriptor) or before == (self._size, self._partial[self.streams[descriptor]]):
                    break
            if descriptor in self.streams:
                self._close(descriptor)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _close(self, descriptor: int) -> None:
        name = self.streams.pop(descriptor)
        os.close(descriptor)
        if self._partial[name]:
            self._write(name, [self._partial[name]])
            self._partial[name] = b""

    def _write(self, name: str, lines: list[bytes]) -> None:
        head = f'{{"time":{time.time():.3f},"stream":"{name}","text":'
        texts = [line.rstrip(b"\r").decode("utf-8", "replace") for line in lines]
        if name == "stderr":
            spoken = next((text for text in reversed(texts) if text.strip()), None)
            if spoken is not None:
                self.last_error_line = spoken.strip()[:LAST_LINE_CHARACTERS_MAX]
        data = "".join([f"{head}{quote(text)}}}\n" for text in texts]).encode()
        self._allowance -= len(data)
        try:
            self._rotate_for(len(data))
            os.write(self._file, data)
            self._size += len(data)
            self.failure = ""
        except OSError as error:  # the disk is full or gone: the task goes on, its output is lost
            self.failure = os.strerror(error.errno or 0)

    def _rotate_for(self, more: int) -> None:
        """Opens the file, moving the older ones on when this one would grow beyond its size."""
        if self._file >= 0 and self._size + more > self._file_bytes_max:
            os.close(self._file)
            self._file = -1
            for number in range(OUTPUT_FILES_MAX - 1, 0, -1):
                older = f"{self._path}.{number - 1}" if number > 1 else self._path
                with contextlib.suppress(FileNotFoundError):
                    os.replace(older, f"{self._path}.{number}")
        if self._file < 0:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._size = os.fstat(self._file).st_size
