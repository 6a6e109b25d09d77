"""Whole frames or a named reason, whatever bytes come and however they are cut."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.wire.frames import FRAME_FORMAT, HEAD_BYTES, BadFrame, FrameReader, encode_frame

frames = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=200)), max_size=20)


def read_all(reader: FrameReader) -> list[tuple[int, bytes]]:
    found = []
    while (frame := reader.next_frame()) is not None:
        found.append(frame)
    return found


@given(frames, st.data())
def test_frames_arrive_whole_however_they_are_cut(sent, data):
    stream = b"".join(encode_frame(channel, body) for channel, body in sent)
    reader, received = FrameReader(), []
    while stream:
        piece = data.draw(st.integers(1, len(stream)))
        reader.feed(stream[:piece])
        received += read_all(reader)
        stream = stream[piece:]
    assert received == sent
    assert reader.waiting_bytes == 0


@given(st.lists(st.binary(max_size=300), max_size=30))
def test_any_bytes_end_in_frames_or_a_named_reason_and_bounded_memory(pieces):
    reader = FrameReader(body_bytes_max=1000)
    for piece in pieces:
        reader.feed(piece)
        with suppress(BadFrame):
            read_all(reader)
        assert reader.waiting_bytes <= 1000 + HEAD_BYTES


def test_an_oversized_frame_is_refused_by_its_head():
    reader = FrameReader(body_bytes_max=1000)
    reader.feed(struct.pack(">IBB", 2 + 1001, FRAME_FORMAT, 1))
    with pytest.raises(BadFrame, match="1001 bytes, at most 1000"):
        reader.next_frame()


def test_another_format_is_refused_naming_both():
    reader = FrameReader()
    reader.feed(struct.pack(">IBB", 2, FRAME_FORMAT + 1, 1))
    with pytest.raises(BadFrame, match="format 2, this version reads 1"):
        reader.next_frame()


def test_after_a_bad_frame_nothing_is_kept_or_read():
    reader = FrameReader()
    reader.feed(b"GET / HTTP/1.1\r\n")
    for _ in range(3):
        with pytest.raises(BadFrame):
            reader.next_frame()
        reader.feed(encode_frame(1, b"x") * 1000)
        assert reader.waiting_bytes == 0


def test_frames_before_a_bad_one_are_still_given():
    reader = FrameReader()
    reader.feed(encode_frame(1, b"good") + b"\xff" * 10)
    assert reader.next_frame() == (1, b"good")
    with pytest.raises(BadFrame):
        reader.next_frame()
