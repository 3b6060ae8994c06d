"""The records of `__transaction_state`, byte for byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_embedded.coordinator.fields import UnknownRecordError
from broker_embedded.coordinator.transactions.records import (
    TransactionValue,
    decode_transaction_key,
    decode_transaction_value,
    encode_transaction_key,
    encode_transaction_value,
)
from broker_embedded.coordinator.transactions.states import State

names = st.text(max_size=20)
int64 = st.integers(-(2**63), 2**63 - 1)
int32 = st.integers(-(2**31), 2**31 - 1)
int16 = st.integers(-(2**15), 2**15 - 1)
partitions = st.frozensets(st.tuples(names, st.integers(0, 2**31 - 1)), max_size=5)
values = st.builds(
    TransactionValue, int64, int16, int32, st.sampled_from(State), partitions, int64, int64, int64, int64, int16
)
ONGOING = TransactionValue(5, 1, 60_000, State.ONGOING, frozenset({("t", 1), ("t", 0), ("s", 3)}), 9, 8)


@given(names)
def test_transaction_keys_round_trip(transactional_id: str) -> None:
    assert decode_transaction_key(encode_transaction_key(transactional_id)) == transactional_id


@given(values)
def test_transaction_values_round_trip(value: TransactionValue) -> None:
    if value.state is State.EMPTY:
        value = value._replace(partitions=frozenset())
    assert decode_transaction_value(encode_transaction_value(value)) == value


def test_bytes_of_a_transaction() -> None:
    assert encode_transaction_key("id").hex() == "000000026964"
    expected = (
        "0001" "0000000000000005" "0001" "0000ea60" "01"
        "03" "0273" "02" "00000003" "00" "0274" "03" "00000000" "00000001" "00"
        "0000000000000009" "0000000000000008" "00"
    )  # fmt: skip
    assert encode_transaction_value(ONGOING).hex() == expected
    empty = ONGOING._replace(state=State.EMPTY, partitions=frozenset())
    assert encode_transaction_value(empty).hex()[34:36] == "00"
    bumped = ONGOING._replace(previous_producer_id=4, next_producer_id=6, client_version=2)
    tags = "03000800000000000000040108000000000000000602020002"
    assert encode_transaction_value(bumped).hex() == expected[:-2] + tags


def test_version_0_is_read() -> None:
    head = struct.pack(">hqhib", 0, 5, 1, 60_000, State.ONGOING)
    topics = struct.pack(">ih1siih1siii", 2, 1, b"s", 1, 3, 1, b"t", 2, 0, 1)
    assert decode_transaction_value(head + topics + struct.pack(">qq", 9, 8)) == ONGOING
    empty = struct.pack(">hqhib", 0, 5, 1, 60_000, State.EMPTY) + struct.pack(">iqq", -1, 9, -1)
    assert decode_transaction_value(empty) == TransactionValue(5, 1, 60_000, State.EMPTY, frozenset(), 9, -1)


def test_tags_of_later_versions_are_passed_over() -> None:
    data = encode_transaction_value(ONGOING)[:-1] + b"\x01\x03\x02\x00\x07"  # NextProducerEpoch
    assert decode_transaction_value(data) == ONGOING


def test_unknown_versions_are_named() -> None:
    with pytest.raises(UnknownRecordError, match="version 9"):
        decode_transaction_value(struct.pack(">hqhib", 9, 0, 0, 0, 0))


def test_other_keys_are_passed_over() -> None:
    assert decode_transaction_key(struct.pack(">hh1s", 1, 1, b"t")) is None
