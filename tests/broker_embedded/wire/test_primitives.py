"""Values of the wire: what is written is read, what is cut or lies is malformed, and nothing else happens."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_embedded.wire import primitives as wire
from broker_embedded.wire.primitives import MalformedError

TEXT = st.none() | st.text(max_size=300)
BINARY = st.none() | st.binary(max_size=300)
IDS = st.none() | st.uuids().filter(lambda value: value.int != 0)
PAIRS: dict[str, tuple[Callable[..., Any], Callable[..., Any], Any]] = {
    "string": (wire.write_string, wire.read_string, TEXT),
    "compact_string": (wire.write_compact_string, wire.read_compact_string, TEXT),
    "bytes": (wire.write_bytes, wire.read_bytes, BINARY),
    "compact_bytes": (wire.write_compact_bytes, wire.read_compact_bytes, BINARY),
    "records": (wire.write_records, wire.read_records, BINARY),
    "compact_records": (wire.write_compact_records, wire.read_compact_records, BINARY),
    "uuid": (wire.write_uuid, wire.read_uuid, IDS),
}
FAULTS = (MalformedError, IndexError, struct.error, UnicodeDecodeError)


def written(write: Callable[..., Any], value: Any) -> bytes:
    pieces: list[bytes] = []
    write(pieces.append, value)
    return b"".join(pieces)


@pytest.mark.parametrize("name", PAIRS)
@given(data=st.data())
def test_what_is_written_is_read(name: str, data: st.DataObject) -> None:
    write, read, strategy = PAIRS[name]
    value = data.draw(strategy)
    frame = b"<" + written(write, value) + b">"
    assert read(frame, 1) == (value, len(frame) - 1)
    for end in range(1, len(frame) - 1):
        with pytest.raises(FAULTS):
            read(frame[:end], 1)


@pytest.mark.parametrize("name", PAIRS)
@given(frame=st.binary(max_size=40))
def test_any_bytes(name: str, frame: bytes) -> None:
    try:
        value, end = PAIRS[name][1](frame, 0)
    except FAULTS:
        return
    assert 0 < end <= len(frame)
    assert value is None or isinstance(value, UUID) or len(value) <= len(frame)


@given(st.integers(0, (1 << 32) - 1))
def test_varints(value: int) -> None:
    assert wire.read_varint(wire.varint(value), 0) == (value, len(wire.varint(value)))


def test_a_varint_that_does_not_end() -> None:
    with pytest.raises(MalformedError, match="more than five bytes"):
        wire.read_varint(b"\x80" * 100, 0)


@pytest.mark.parametrize("length", [-2, 5, (1 << 31) - 1])
def test_lengths_that_lie(length: int) -> None:
    with pytest.raises(MalformedError, match=f"a length of {length} in a frame of 8 bytes"):
        wire.read_bytes(struct.pack(">i", length) + b"1234", 0)


@pytest.mark.parametrize("count", [-2, 5, (1 << 31) - 1])
def test_counts_that_lie(count: int) -> None:
    with pytest.raises(MalformedError, match=f"an array of {count} elements"):
        wire.read_count(struct.pack(">i", count) + b"1234", 0)


def test_records_are_a_view() -> None:
    frame = bytearray(written(wire.write_records, b"batch"))
    view, _ = wire.read_records(frame, 0)
    assert isinstance(view, memoryview) and view.obj is frame


@pytest.mark.parametrize("write", [wire.write_records, wire.write_compact_records])
def test_records_in_pieces_are_not_copied(write: Callable[..., Any]) -> None:
    pieces: list[Any] = []
    batches = [memoryview(b"one"), memoryview(b"two")]
    write(pieces.append, batches)
    assert pieces[1:] == batches and pieces[1] is batches[0]
    assert b"".join(pieces) == written(write, b"onetwo")


@given(st.dictionaries(st.integers(0, 200), st.binary(max_size=200), max_size=4))
def test_tags(tags: dict[int, bytes]) -> None:
    frame = written(wire.write_tags, sorted(tags.items())) + b">"
    assert wire.skip_tags(frame, 0) == len(frame) - 1
    count, at = wire.read_varint(frame, 0)
    found = {}
    for _ in range(count):
        tag, start, at = wire.read_tag(frame, at)
        found[tag] = frame[start:at]
    assert found == tags
