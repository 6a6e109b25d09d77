"""Segment files: their names, their heads, and reading one.

    file head, 32 bytes: magic "swarmlog" | format u16 | zeros u16 | number u64 | previous u32 | zeros u32 | checksum u32
    frames, the first of which holds an OPENING record
    zeros

`previous` is the chain of the segment before at its end, so a segment that is missing, or cut short, is noticed by the next.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from zlib import crc32

import attrs

from swarmtui.storage.errors import DamagedLog, NewerFormat
from swarmtui.storage.frames import FRAME_FORMAT, Bad, End, Newer, read_frame

SEGMENT_FORMAT = 1
SEGMENT_BYTES = 8 * 1024 * 1024
FILE_HEAD_BYTES = 32

_HEAD = struct.Struct(">8sHHQII")
_MAGIC = b"swarmlog"
_NAME = re.compile(r"(\d{8,})\.log")


def segment_name(number: int) -> str:
    return f"{number:08d}.log"


def segment_number(name: str) -> int | None:
    """The number of a segment's file name; None for any other file."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def segment_seed(node_id: str, number: int, previous: int) -> int:
    """What the frames of this segment are seeded with."""
    return crc32(struct.pack(">QI", number, previous), crc32(node_id.encode()))


def encode_file_head(number: int, previous: int) -> bytes:
    head = _HEAD.pack(_MAGIC, SEGMENT_FORMAT, 0, number, previous, 0)
    return head + crc32(head).to_bytes(4, "big")


@attrs.frozen
class ReadSegment:
    """`frames` are (offset, body); `end` is where the next one goes, `chain` and `seed` what it is made with. `dirty_end`
    is the end of what a torn frame left behind, `torn` says what of it is missing."""

    number: int
    previous: int
    seed: int
    frames: tuple[tuple[int, bytes], ...]
    end: int
    chain: int
    torn: str | None = None
    dirty_end: int = 0


def read_segment(path: Path, data: bytes, node_id: str, number: int) -> ReadSegment:
    """Everything in a segment. Raises DamagedLog or NewerFormat."""
    if len(data) < FILE_HEAD_BYTES:
        raise DamagedLog(path, 0, f"it has {len(data)} bytes and no head")
    magic, version, _, named, previous, _ = _HEAD.unpack_from(data)
    checksum = int.from_bytes(data[_HEAD.size : FILE_HEAD_BYTES], "big")
    if magic != _MAGIC or checksum != crc32(data[: _HEAD.size]):
        raise DamagedLog(path, 0, "its head does not agree with its checksum")
    if version > SEGMENT_FORMAT:
        raise NewerFormat(path, "segment", version, SEGMENT_FORMAT)
    if named != number:
        raise DamagedLog(path, 0, f"it is segment {named} under the name of segment {number}")
    seed = segment_seed(node_id, number, previous)
    frames: list[tuple[int, bytes]] = []
    offset, chain = FILE_HEAD_BYTES, seed
    while True:
        found = read_frame(data, offset, len(frames), chain, seed)
        if isinstance(found, End):
            break
        if isinstance(found, Bad):
            whose = f" (or is of another node than {node_id})" if not frames else ""
            raise DamagedLog(path, found.offset, found.reason + whose)
        if isinstance(found, Newer):
            raise NewerFormat(path, "frame", found.format, FRAME_FORMAT)
        frames.append((found.offset, found.body))
        offset, chain = found.next_offset, found.chain
    if not frames:
        raise DamagedLog(path, offset, f"its opening frame is missing, or is of another node than {node_id}")
    dirty_end = len(data.rstrip(b"\0")) if found.torn is not None else 0
    return ReadSegment(number, previous, seed, tuple(frames), offset, chain, found.torn, dirty_end)
