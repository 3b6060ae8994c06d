"""Frames: however bytes come in, the same requests come out; what can't be is a fault behind them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_embedded.wire import frames
from broker_embedded.wire.frames import FrameReader, joined
from broker_embedded.wire.primitives import MalformedError

SCRATCH_BYTES = 64
BODIES = st.lists(st.binary(max_size=300), max_size=6)
CUTS = st.lists(st.integers(1, 90), min_size=1, max_size=40)


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def feed(reader: FrameReader, data: bytes, sizes: list[int]) -> list[bytes]:
    """Give `data` to the reader in pieces of `sizes`, over and over."""
    found: list[bytearray] = []
    turn = 0
    while data:
        buffer = reader.buffer()
        taken = min(len(buffer), len(data), sizes[turn % len(sizes)])
        buffer[:taken] = data[:taken]
        del buffer
        found += reader.received(taken)
        data = data[taken:]
        turn += 1
    return [bytes(frame) for frame in found]


@given(BODIES, CUTS)
def test_however_the_bytes_are_cut(bodies: list[bytes], sizes: list[int]) -> None:
    reader = FrameReader(bytearray(SCRATCH_BYTES), max_bytes=1 << 20)
    assert feed(reader, b"".join(map(framed, bodies)), sizes) == bodies
    assert reader.fault is None


@pytest.mark.parametrize("boundary", range(1, 24))
def test_at_every_boundary(boundary: int) -> None:
    bodies = [b"", b"first", b"second!"]
    data = b"".join(map(framed, bodies))
    reader = FrameReader(bytearray(SCRATCH_BYTES), max_bytes=100)
    assert feed(reader, data[:boundary], [1 << 10]) + feed(reader, data[boundary:], [1 << 10]) == bodies


@given(BODIES, CUTS, st.sampled_from([-1, -(1 << 31), 301, (1 << 31) - 1]))
def test_a_length_that_can_not_be(bodies: list[bytes], sizes: list[int], length: int) -> None:
    reader = FrameReader(bytearray(SCRATCH_BYTES), max_bytes=300)
    data = b"".join(map(framed, bodies)) + struct.pack(">i", length) + framed(b"never read")
    assert feed(reader, data, sizes) == bodies
    assert f"a frame of {length} bytes; 0 to 300 (socket.request.max.bytes)" in str(reader.fault)


def test_two_readers_share_a_scratch_buffer() -> None:
    scratch = bytearray(SCRATCH_BYTES)
    one, other = FrameReader(scratch, max_bytes=100), FrameReader(scratch, max_bytes=100)
    assert feed(one, framed(b"of one")[:7], [100]) == feed(other, framed(b"of another")[:3], [100]) == []
    assert feed(one, framed(b"of one")[7:], [100]) == [b"of one"]
    assert feed(other, framed(b"of another")[3:], [100]) == [b"of another"]


def test_a_large_frame_takes_memory_as_it_comes() -> None:
    reader = FrameReader(bytearray(SCRATCH_BYTES), max_bytes=1 << 30)
    assert feed(reader, struct.pack(">i", 1 << 30) + b"a little", [100]) == []
    assert len(reader.buffer()) <= 1 << 20


@given(st.lists(st.binary(max_size=20) | st.just(bytes(1 << 17)), max_size=8))
def test_joined(pieces: list[bytes]) -> None:
    size = sum(map(len, pieces))
    found = joined(list(pieces), size)
    assert b"".join(found) == b"".join(pieces)
    large = [piece for piece in pieces if len(piece) >= 1 << 17]
    assert all(any(piece is one for one in found) for piece in large), "large ones are not copied"


@pytest.mark.parametrize("client_id", ["", "ü", None])
@pytest.mark.parametrize("version", [3, 4])
def test_a_request_s_header(version: int, client_id: str | None) -> None:
    data = b"".join(frames.request_frame(12, version, 7, client_id, [b"body"]))[4:]
    header = frames.read_request_header(data)
    assert header[:4] == (12, version, 7, client_id)
    assert data[frames.body_position(data, header) :] == b"body"


@pytest.mark.parametrize("end", range(14))
def test_a_request_s_header_that_is_cut(end: int) -> None:
    data = b"".join(frames.request_frame(12, 4, 7, "abcd", []))[4:][:end]
    with pytest.raises(MalformedError):
        frames.body_position(data, frames.read_request_header(data))


@pytest.mark.parametrize(("key", "version", "tags"), [(12, 3, b""), (12, 4, b"\0"), (18, 3, b""), (18, 4, b"")])
def test_a_response_s_header(key: int, version: int, tags: bytes) -> None:
    data = b"".join(frames.response_frame(key, version, 7, [b"bo", b"dy"]))
    assert data == struct.pack(">ii", 8 + len(tags), 7) + tags + b"body"
    assert data[4:][frames.response_body_position(data[4:], key, version) :] == b"body"
