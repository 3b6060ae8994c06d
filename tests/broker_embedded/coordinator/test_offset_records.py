"""The records of the internal topics, byte for byte."""

from __future__ import annotations

import struct
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_embedded.coordinator.offset_records import (
    OffsetKey,
    OffsetValue,
    UnknownRecordError,
    decode_offset_key,
    decode_offset_value,
    encode_offset_key,
    encode_offset_value,
)
from broker_embedded.coordinator.placement import partition_for

names = st.text(max_size=20)
int64 = st.integers(-(2**63), 2**63 - 1)
int32 = st.integers(-(2**31), 2**31 - 1)


@given(names, names, int32)
def test_offset_keys_round_trip(group: str, topic: str, partition: int) -> None:
    assert decode_offset_key(encode_offset_key(group, topic, partition)) == OffsetKey(group, topic, partition)


@given(st.builds(OffsetValue, int64, int32, names, int64, st.none() | st.uuids()))
def test_offset_values_round_trip(value: OffsetValue) -> None:
    assert decode_offset_value(encode_offset_value(value)) == value


def test_bytes_of_an_offset() -> None:
    assert encode_offset_key("g", "t", 1).hex() == "000100016700017400000001"
    expected = "000300000000000000070000000200016d0000000000000009"
    assert encode_offset_value(OffsetValue(7, 2, "m", 9)).hex() == expected
    expected = "0004000000000000000700000002026d0000000000000009010010" + "07" * 16
    assert encode_offset_value(OffsetValue(7, 2, "m", 9, UUID("07" * 16))).hex() == expected


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (struct.pack(">hqh1sq", 0, 7, 1, b"m", 9), OffsetValue(7, -1, "m", 9)),
        (struct.pack(">hqh1sqq", 1, 7, 1, b"m", 9, 99), OffsetValue(7, -1, "m", 9)),
        (struct.pack(">hqh1sq", 2, 7, 1, b"m", 9), OffsetValue(7, -1, "m", 9)),
        # version 4 is compact, with a topic id as tag 0
        (
            struct.pack(">hqi2sqBBB16s", 4, 7, 2, b"\x02m", 9, 1, 0, 16, b"i" * 16),
            OffsetValue(7, 2, "m", 9, UUID("69" * 16)),
        ),
    ],
    ids=["0", "1", "2", "4"],
)
def test_other_versions_of_an_offset(data: bytes, value: OffsetValue) -> None:
    assert decode_offset_value(data) == value


def test_unknown_versions_are_named() -> None:
    with pytest.raises(UnknownRecordError, match="version 9"):
        decode_offset_value(struct.pack(">hq", 9, 0))


def test_other_keys_are_passed_over() -> None:
    assert decode_offset_key(struct.pack(">hh1s", 2, 1, b"g")) is None  # group metadata


@pytest.mark.parametrize(
    ("name", "hashed"),
    [
        ("", 0),
        ("a", 97),
        ("hello", 99162322),
        ("my-group", 1906497762),
        ("é", 233),
        ("𝕏", 1772474),
        ("polygenelubricants", 0),
    ],
)
def test_placement_is_java_s(name: str, hashed: int) -> None:
    assert partition_for(name, 2**31) == hashed
