"""Frames: how bytes are laid into a segment so that a torn write can be told from damage.

    head, 32 bytes, aligned to 32 (never across two sectors):
        magic "SWF" u24 | format u8 | length u32 | number u64 | previous u32 | checksum u32 | veil u32 | head checksum u32
    body, `length` bytes | end byte 0xE5 | zeros up to the next multiple of 32

`checksum` is the CRC-32 of body and end byte, beginning with `previous`; the head's checksum is that of the 28 bytes before
it, beginning with the segment's seed (node id, segment number, last checksum of the segment before). `previous` is the
head checksum of the frame before, so frames fit in one order only.

A disk writes sectors of 512 bytes whole or not at all, in any order, and what was never written here reads as zeros. So a
frame that was not written whole has a sector of zeros (or, cut within a sector, zeros in the place of its end byte), and a
frame that was written must have none: its head and its end byte are not zero, and a body with a sector's length of zeros
in a row is veiled, XORed with a stream of noise that `veil` numbers.

Pure functions of bytes; nothing here touches a file.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from zlib import crc32

import attrs

FRAME_FORMAT = 1
ALIGNMENT = 32
SECTOR = 512

_HEAD = struct.Struct(">3sBIQIII")
_CHECKED_HEAD = struct.Struct(">3sBIQIIII")
HEAD_BYTES = _CHECKED_HEAD.size
_MAGIC = b"SWF"
_END = b"\xe5"
_ZEROS = bytes(SECTOR)


@attrs.frozen
class Frame:
    """One that was read: where it is, what it holds, and the checksum that the next one is chained to."""

    offset: int
    body: bytes
    next_offset: int
    chain: int


@attrs.frozen
class End:
    """There is no frame here: nothing but zeros (`torn` is None), or what is left of one that was never written whole."""

    offset: int
    torn: str | None = None


@attrs.frozen
class Bad:
    """There was a frame here, or should be."""

    offset: int
    reason: str


@attrs.frozen
class Newer:
    """A frame of a format that this version does not know."""

    offset: int
    format: int


def space_of(body_length: int) -> int:
    """The bytes of the file that a frame with this body takes."""
    return -(-(HEAD_BYTES + body_length + 1) // ALIGNMENT) * ALIGNMENT


def encode_frame(parts: Sequence[bytes], number: int, previous: int, seed: int) -> tuple[bytes, int]:
    """The frame's bytes, padding left out, and its head checksum."""
    body = b"".join(parts)
    veil = 0
    while _ZEROS in body:
        veil += 1
        body = _veiled(b"".join(parts), veil)
    checksum = crc32(_END, crc32(body, previous))
    head = _HEAD.pack(_MAGIC, FRAME_FORMAT, len(body), number, previous, checksum, veil)
    chain = crc32(head, seed)
    return b"".join((head, chain.to_bytes(4, "big"), body, _END)), chain


def _veiled(body: bytes, veil: int) -> bytes:
    noise = hashlib.shake_128(veil.to_bytes(4, "big")).digest(len(body))
    mixed = int.from_bytes(body, "big") ^ int.from_bytes(noise, "big")
    return mixed.to_bytes(len(body), "big")


def read_frame(data: bytes, offset: int, number: int, previous: int, seed: int) -> Frame | End | Bad | Newer:
    """What is at `offset` of a segment, where frame `number` belongs."""
    if len(data) - offset < HEAD_BYTES:
        return End(offset)
    magic, version, length, found, before, checksum, veil, chain = _CHECKED_HEAD.unpack_from(data, offset)
    if magic != _MAGIC and not any(data[offset : offset + HEAD_BYTES]):
        return _nothing_or_torn(data, offset, number, seed)
    if magic != _MAGIC or chain != crc32(data[offset : offset + HEAD_BYTES - 4], seed):
        if _is_zero(data, offset + HEAD_BYTES):
            return End(offset, "a frame of which not even the head was written whole")
        return Bad(offset, "the head of a frame does not agree with its checksum")
    if version > FRAME_FORMAT:
        return Newer(offset, version)
    if (found, before) != (number, previous):
        return Bad(offset, f"frame {found} stands where frame {number} belongs, or follows another")
    start = offset + HEAD_BYTES
    stop = start + length + 1
    if stop > len(data):
        return Bad(offset, f"a frame of {length} bytes reaches over the end of its segment")
    if crc32(data[start:stop], before) != checksum:
        return _torn_or_bad(data, offset, stop, number, seed)
    body = data[start : stop - 1]
    return Frame(offset, _veiled(body, veil) if veil else body, offset + space_of(length), chain)


def _nothing_or_torn(data: bytes, offset: int, number: int, seed: int) -> End | Bad:
    """No head. Its sector was never written: then that is zero to its end, and no frame stands behind it."""
    if _is_zero(data, offset):
        return End(offset)
    if any(data[offset : _next_sector(offset)]):
        return Bad(offset, "a frame without a head")
    later = _later_head(data, offset + HEAD_BYTES, number, seed)
    if later is not None:
        return Bad(offset, f"a frame is missing, yet another stands behind it at {later}")
    return End(offset, "a frame whose first sector was never written")


def _torn_or_bad(data: bytes, offset: int, stop: int, number: int, seed: int) -> End | Bad:
    later = _later_head(data, stop, number, seed)
    if later is not None:
        return Bad(offset, f"a frame does not agree with its checksum, yet another stands behind it at {later}")
    if not data[stop - 1]:
        return End(offset, "a frame whose end was never written")
    start = offset
    while start < stop:
        end = min(_next_sector(start), stop)
        if not any(data[start:end]):
            return End(offset, f"a frame of which the sector at {start} was never written")
        start = end
    return Bad(offset, "a frame was written whole and does not agree with its checksum")


def _is_zero(data: bytes, start: int) -> bool:
    """Nothing but zeros from here to the end of the segment."""
    rest = memoryview(data)[start:]
    return rest == bytes(len(rest))


def _next_sector(offset: int) -> int:
    return (offset // SECTOR + 1) * SECTOR


def _later_head(data: bytes, start: int, number: int, seed: int) -> int | None:
    """Where the head of a later frame stands. A head's checksum and a number that was not reached yet cannot come from
    a value that somebody stored."""
    position = data.find(_MAGIC, start)
    while position >= 0:
        if position % ALIGNMENT == 0 and len(data) - position >= HEAD_BYTES:
            found, chain = _CHECKED_HEAD.unpack_from(data, position)[3:8:4]
            if found > number and chain == crc32(data[position : position + HEAD_BYTES - 4], seed):
                return position
        position = data.find(_MAGIC, position + 1)
    return None
