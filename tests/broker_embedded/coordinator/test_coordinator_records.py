"""The records of the internal topics, byte for byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_embedded.coordinator.placement import partition_for
from broker_embedded.coordinator.records import (
    OffsetKey,
    OffsetValue,
    TransactionValue,
    UnknownRecordError,
    decode_offset_key,
    decode_offset_value,
    decode_transaction_key,
    decode_transaction_value,
    encode_offset_key,
    encode_offset_value,
    encode_transaction_key,
    encode_transaction_value,
)
from broker_embedded.coordinator.states import State

names = st.text(max_size=20)
int64 = st.integers(-(2**63), 2**63 - 1)
int32 = st.integers(-(2**31), 2**31 - 1)
int16 = st.integers(-(2**15), 2**15 - 1)
partitions = st.frozensets(st.tuples(names, st.integers(0, 2**31 - 1)), max_size=5)


@given(names, names, int32)
def test_offset_keys_round_trip(group: str, topic: str, partition: int) -> None:
    assert decode_offset_key(encode_offset_key(group, topic, partition)) == OffsetKey(group, topic, partition)


@given(st.builds(OffsetValue, int64, int32, names, int64))
def test_offset_values_round_trip(value: OffsetValue) -> None:
    assert decode_offset_value(encode_offset_value(value)) == value


@given(names)
def test_transaction_keys_round_trip(transactional_id: str) -> None:
    assert decode_transaction_key(encode_transaction_key(transactional_id)) == transactional_id


@given(st.builds(TransactionValue, int64, int16, int32, st.sampled_from(State), partitions, int64, int64))
def test_transaction_values_round_trip(value: TransactionValue) -> None:
    if value.state is State.EMPTY:
        value = value._replace(partitions=frozenset())
    assert decode_transaction_value(encode_transaction_value(value)) == value


def test_bytes_of_an_offset() -> None:
    assert encode_offset_key("g", "t", 1).hex() == "000100016700017400000001"
    expected = "000300000000000000070000000200016d0000000000000009"
    assert encode_offset_value(OffsetValue(7, 2, "m", 9)).hex() == expected


def test_bytes_of_a_transaction() -> None:
    assert encode_transaction_key("id").hex() == "000000026964"
    value = TransactionValue(5, 1, 60_000, State.ONGOING, frozenset({("t", 1), ("t", 0), ("s", 3)}), 9, 8)
    expected = (
        "0000" "0000000000000005" "0001" "0000ea60" "01"
        "00000002" "000173" "00000001" "00000003" "000174" "00000002" "00000000" "00000001"
        "0000000000000009" "0000000000000008"
    )  # fmt: skip
    assert encode_transaction_value(value).hex() == expected
    empty = value._replace(state=State.EMPTY, partitions=frozenset())
    assert encode_transaction_value(empty).hex()[34:42] == "ffffffff"


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (struct.pack(">hqh1sq", 0, 7, 1, b"m", 9), OffsetValue(7, -1, "m", 9)),
        (struct.pack(">hqh1sqq", 1, 7, 1, b"m", 9, 99), OffsetValue(7, -1, "m", 9)),
        (struct.pack(">hqh1sq", 2, 7, 1, b"m", 9), OffsetValue(7, -1, "m", 9)),
        # version 4 is compact, with a topic id as tag 0
        (struct.pack(">hqi2sqBBB16s", 4, 7, 2, b"\x02m", 9, 1, 0, 16, b"i" * 16), OffsetValue(7, 2, "m", 9)),
    ],
    ids=["0", "1", "2", "4"],
)
def test_other_versions_of_an_offset(data: bytes, value: OffsetValue) -> None:
    assert decode_offset_value(data) == value


def test_a_flexible_transaction() -> None:
    head = struct.pack(">hqhib", 1, 5, 1, 60_000, State.ONGOING)
    topic = b"\x02t" + b"\x03" + struct.pack(">ii", 0, 1) + b"\x00"
    tail = struct.pack(">qq", 9, 8) + b"\x01" + b"\x02" + b"\x02" + struct.pack(">h", 2)  # ClientTransactionVersion
    value = decode_transaction_value(head + b"\x02" + topic + tail)
    assert value == TransactionValue(5, 1, 60_000, State.ONGOING, frozenset({("t", 0), ("t", 1)}), 9, 8)


def test_unknown_versions_are_named() -> None:
    with pytest.raises(UnknownRecordError, match="version 9"):
        decode_offset_value(struct.pack(">hq", 9, 0))
    with pytest.raises(UnknownRecordError, match="version 9"):
        decode_transaction_value(struct.pack(">hqhib", 9, 0, 0, 0, 0))


def test_other_keys_are_passed_over() -> None:
    assert decode_offset_key(struct.pack(">hh1s", 2, 1, b"g")) is None  # group metadata
    assert decode_transaction_key(struct.pack(">hh1s", 1, 1, b"t")) is None


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
