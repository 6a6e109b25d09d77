"""Frames: what is cut anywhere is torn, what is changed anywhere is damage, and the two are never taken for one another."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swarmtui.storage.frames import (
    ALIGNMENT,
    HEAD_BYTES,
    SECTOR,
    Bad,
    End,
    Frame,
    Newer,
    encode_frame,
    read_frame,
    space_of,
)

SEED = 77
SEGMENT = 8192

bodies = st.binary(min_size=1, max_size=1500) | st.integers(1, 2000).map(bytes)  # of zeros, too


def segment(some: list[bytes], start: int = 32) -> tuple[bytearray, list[int]]:
    """A segment with these frames; where each begins, and where the next would."""
    data = bytearray(SEGMENT)
    offsets = [start]
    chain = SEED
    for number, body in enumerate(some):
        frame, chain = encode_frame([body], number, chain, SEED)
        data[offsets[-1] : offsets[-1] + len(frame)] = frame
        offsets.append(offsets[-1] + space_of(len(body)))
    return data, offsets


def read_all(data: bytes, start: int = 32) -> tuple[list[bytes], End | Bad | Newer]:
    found: list[bytes] = []
    offset, chain = start, SEED
    while True:
        frame = read_frame(bytes(data), offset, len(found), chain, SEED)
        if not isinstance(frame, Frame):
            return found, frame
        found.append(frame.body)
        offset, chain = frame.next_offset, frame.chain


@given(st.lists(bodies, max_size=4))
def test_what_is_written_is_read(some: list[bytes]) -> None:
    data, offsets = segment(some)
    assert read_all(data) == (some, End(offsets[-1]))
    assert all(offset % ALIGNMENT == 0 for offset in offsets)


@given(bodies, st.integers(0, 20))
@example(bytes(4096), 0)
def test_no_written_frame_has_a_sector_of_zeros(body: bytes, blocks: int) -> None:
    start = 32 + blocks * ALIGNMENT
    frame, _ = encode_frame([body], 0, SEED, SEED)
    data = bytearray(SEGMENT)
    data[start : start + len(frame)] = frame
    cut = start
    while cut < start + len(frame):
        end = min((cut // SECTOR + 1) * SECTOR, start + len(frame))
        assert any(data[cut:end])
        cut = end


@given(st.lists(bodies, max_size=2), bodies, st.data())
@settings(deadline=None)
def test_a_frame_cut_at_any_byte_is_torn(some: list[bytes], last: bytes, data: st.DataObject) -> None:
    whole, offsets = segment([*some, last])
    frame_bytes = HEAD_BYTES + len(last) + 1
    cut = offsets[-2] + data.draw(st.integers(0, frame_bytes - 1))
    found, end = read_all(bytes(whole[:cut]) + bytes(SEGMENT - cut))
    assert found == some
    assert isinstance(end, End)
    assert end.offset == offsets[-2]


def test_a_small_segment_cut_at_every_byte() -> None:
    some = [b"first", b"second" * 100, bytes(1200)]
    whole, offsets = segment(some)
    for cut in range(offsets[-1]):
        found, end = read_all(bytes(whole[:cut]) + bytes(SEGMENT - cut))
        complete = sum(1 for at, body in zip(offsets, some, strict=False) if cut >= at + HEAD_BYTES + len(body) + 1)
        assert found == some[:complete]
        assert isinstance(end, End), (cut, end)


@given(st.lists(bodies, max_size=2), bodies, st.data())
@settings(deadline=None)
def test_a_frame_of_which_any_sectors_are_missing_is_torn(some: list[bytes], last: bytes, data: st.DataObject) -> None:
    whole, offsets = segment([*some, last])
    stop = offsets[-2] + HEAD_BYTES + len(last) + 1
    missing = 0
    start = offsets[-2]
    while start < stop:
        end = min((start // SECTOR + 1) * SECTOR, stop)
        if data.draw(st.booleans()):
            missing += 1
            whole[start:end] = bytes(end - start)
        start = end
    found, end_found = read_all(whole)
    if missing:
        assert found == some
        assert isinstance(end_found, End)
    else:
        assert found == [*some, last]


@given(st.lists(bodies, min_size=1, max_size=3), st.data())
@settings(deadline=None)
def test_a_flipped_bit_is_damage_or_harmless(some: list[bytes], data: st.DataObject) -> None:
    whole, offsets = segment(some)
    at = data.draw(st.integers(32, offsets[-1] + 100))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    found, end = read_all(whole)
    if not isinstance(end, Bad | Newer):
        assert found == some, (at, end)


def test_every_flipped_bit_of_a_small_segment() -> None:
    some = [b"first", b"second" * 90, bytes(600), b"last"]
    whole, offsets = segment(some)
    for at in range(32, offsets[-1]):
        for bit in (0, 3, 7):
            whole[at] ^= 1 << bit
            found, end = read_all(whole)
            assert isinstance(end, Bad | Newer) or found == some, (at, bit, end)
            whole[at] ^= 1 << bit


def test_a_zeroed_sector_before_a_whole_frame_is_damage() -> None:
    whole, offsets = segment([b"a" * 1500, b"b" * 1500, b"c"])
    for sector in range(SECTOR, offsets[-2] - SECTOR, SECTOR):
        copy = bytearray(whole)
        copy[sector : sector + SECTOR] = bytes(SECTOR)
        _, end = read_all(copy)
        assert isinstance(end, Bad), sector
        assert "another stands behind it" in end.reason or "without a head" in end.reason


def test_a_frame_of_another_place_or_seed_does_not_fit() -> None:
    frame, _ = encode_frame([b"body"], 5, SEED, SEED)
    data = frame + bytes(1000)
    assert isinstance(read_frame(data, 0, 5, SEED, SEED), Frame)
    assert isinstance(read_frame(data, 0, 4, SEED, SEED), Bad)
    assert isinstance(read_frame(data, 0, 5, SEED + 1, SEED), Bad)
    assert isinstance(read_frame(data, 0, 5, SEED, SEED + 1), Bad)


def test_a_newer_frame_is_told_from_a_damaged_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmtui.storage.frames.FRAME_FORMAT", 9)
    frame, _ = encode_frame([b"body"], 0, SEED, SEED)
    monkeypatch.undo()
    assert read_frame(frame + bytes(100), 0, 0, SEED, SEED) == Newer(0, 9)


def test_a_value_that_holds_frames_is_not_taken_for_them() -> None:
    inner, _ = encode_frame([b"stored by somebody"], 0, SEED, SEED)
    whole, offsets = segment([b"a", inner * 3])
    cut = offsets[1] + HEAD_BYTES + 100
    found, end = read_all(bytes(whole[:cut]) + bytes(SEGMENT - cut))
    assert (found, type(end)) == ([b"a"], End)
