"""Frames: all that is ever read from a socket.

    length u32 | format u8 | channel u8 | body        (big endian; length counts what follows it)

The reader holds at most one unfinished frame, and refuses a frame by its first six bytes, before it takes in the rest.
"""

from __future__ import annotations

import struct

FRAME_FORMAT = 1
FRAME_BYTES_MAX = 8 * 1024 * 1024  # body; the longest is an Append of one entry of 4 MiB behind 1 MiB of others

_HEAD = struct.Struct(">IBB")
HEAD_BYTES = _HEAD.size
_LENGTH_COUNTS = HEAD_BYTES - 4  # of the head, in `length`


class BadFrame(Exception):
    """Bytes that are no frame of a format this version reads. The peer's fault; that connection ends."""


def encode_frame(channel: int, body: bytes) -> bytes:
    """One frame. The body's length is the caller's to check (`FRAME_BYTES_MAX`)."""
    return _HEAD.pack(_LENGTH_COUNTS + len(body), FRAME_FORMAT, channel) + body


class FrameReader:
    """Bytes in as they come, whole frames out.

    `feed(data)`, then `next_frame()` until it gives None. After a BadFrame the reader is finished: where the next frame
    would begin is not known, and the same BadFrame is raised for ever.
    """

    def __init__(self, body_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._body_bytes_max = body_bytes_max
        self._buffer: bytes | bytearray = b""  # what came at once, as it came; what comes in pieces is joined
        self._position = 0  # of the next frame's head
        self._fault: BadFrame | None = None

    @property
    def waiting_bytes(self) -> int:
        """Bytes taken in and not yet given out."""
        return len(self._buffer) - self._position

    def feed(self, data: bytes | bytearray) -> None:
        if self._fault is not None:
            return
        if self._position == len(self._buffer):
            self._buffer = bytes(data)
        else:
            rest = self._buffer
            if not isinstance(rest, bytearray):
                rest = self._buffer = bytearray(rest)
            del rest[: self._position]
            rest += data
        self._position = 0

    def next_frame(self) -> tuple[int, bytes] | None:
        """The next whole frame's channel number and body, or None if more bytes are needed. Raises BadFrame."""
        if self._fault is not None:
            raise self._fault
        position = self._position
        available = len(self._buffer) - position
        if available < HEAD_BYTES:
            return None
        length, version, channel = _HEAD.unpack_from(self._buffer, position)
        if version != FRAME_FORMAT:
            raise self._finish(f"frame format {version}, this version reads {FRAME_FORMAT}")
        body_bytes = length - _LENGTH_COUNTS
        if not 0 <= body_bytes <= self._body_bytes_max:
            raise self._finish(f"a frame of {body_bytes} bytes, at most {self._body_bytes_max} are read")
        stop = position + HEAD_BYTES + body_bytes
        if stop > len(self._buffer):
            return None
        self._position = stop
        if isinstance(self._buffer, bytes):
            return channel, self._buffer[position + HEAD_BYTES : stop]
        with memoryview(self._buffer) as joined:  # a slice of the bytearray would be one copy more
            return channel, bytes(joined[position + HEAD_BYTES : stop])

    def _finish(self, reason: str) -> BadFrame:
        self._fault = BadFrame(reason)
        self._buffer, self._position = b"", 0
        return self._fault
