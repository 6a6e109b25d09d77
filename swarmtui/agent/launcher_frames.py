"""The language between a node and its launcher: JSON objects, each behind its length in four bytes.

Standard library only, and little of it: the launcher imports this file, and one launcher runs for every node.

Requests carry a number `n` that the answer repeats:

    spawn   task, argv, env, cwd, output   -> pid | error, errno
    signal  task, signal                   -> (to the task's process group) | error
    kill    task                           -> (SIGKILL to all its processes) | error
    freeze  task, thaw task                -> (SIGSTOP, SIGCONT to all its processes) | error

and the launcher says of itself, once a task and all it left behind have ended:

    exit    task, status (0.., or minus the signal), last (line of standard error), left (processes that would not die)
"""

from __future__ import annotations

import json
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would double the time that a launcher takes to start
    from typing import Any

FRAME_BYTES_MAX = 4 * 1024 * 1024  # an environment and an argument vector as large as Linux would take fit
_LENGTH = struct.Struct(">I")

if TYPE_CHECKING:
    Frame = dict[str, Any]
else:
    Frame = dict


class BadFrame(Exception):
    """The other side does not speak this language; there is no way to find the next frame."""


def pack(frame: Frame) -> bytes:
    data = json.dumps(frame, separators=(",", ":")).encode("utf-8", "surrogatepass")
    if len(data) > FRAME_BYTES_MAX:
        raise BadFrame(f"a frame of {len(data)} bytes, the limit is {FRAME_BYTES_MAX}")
    return _LENGTH.pack(len(data)) + data


class FrameReader:
    """Bytes in, whole frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame | None]:
        """The frames that are complete now; None for one that holds no JSON object. Raises BadFrame for a length beyond
        the limit."""
        self._buffer += data
        frames: list[Frame | None] = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > FRAME_BYTES_MAX:
                raise BadFrame(f"a frame of {length} bytes, the limit is {FRAME_BYTES_MAX}")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            frames.append(_parse(bytes(self._buffer[_LENGTH.size : end])))
            del self._buffer[:end]
        return frames


def _parse(data: bytes) -> Frame | None:
    try:
        frame = json.loads(data.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    return frame if isinstance(frame, dict) else None
