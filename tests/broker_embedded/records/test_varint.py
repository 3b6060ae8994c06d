"""Varints one at a time, and columns of them against those."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_embedded.records.varint import (
    WORD_PADDING,
    Cursor,
    VarintError,
    column_bits,
    column_words,
    counting,
    encode_varint,
    read_varint,
    words,
    zigzag,
)

EDGES = [edge + near for bits in range(6, 63, 7) for edge in (2**bits, -(2**bits)) for near in (-1, 0, 1)]
NUMBER = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, -1, *EDGES])
OF_A_WIDTH = st.sampled_from([6, 13, 20, 27, 34, 41, 48]).flatmap(
    lambda bits: st.lists(st.integers(-(2**bits), 2**bits - 1) | st.integers(-64, 63), min_size=1, max_size=20)
)


@pytest.mark.parametrize(
    ("number", "octets"),
    [
        (0, "00"),
        (-1, "01"),
        (1, "02"),
        (63, "7e"),
        (-64, "7f"),
        (64, "8001"),
        (8191, "fe7f"),
        (8192, "808001"),
        (2**31 - 1, "feffffff0f"),
        (2**63 - 1, "feffffffffffffffff01"),
        (-(2**63), "ffffffffffffffffff01"),
    ],
)
def test_their_bytes(number: int, octets: str) -> None:
    assert encode_varint(number).hex() == octets


@settings(deadline=None)
@given(NUMBER, st.binary(max_size=3))
def test_one_at_a_time(number: int, before: bytes) -> None:
    octets = encode_varint(number)
    assert read_varint(before + octets + b"\x05", len(before)) == (number, len(before) + len(octets))


@settings(deadline=None)
@given(NUMBER, NUMBER)
def test_numbers_beyond_64_bits_wrap_around(one: int, other: int) -> None:
    wrapped = int(np.array([one]).__sub__(np.array([other]))[0])
    assert encode_varint(one - other) == encode_varint(wrapped)


@pytest.mark.parametrize(("octets", "number"), [("8000", 0), ("818000", -1), ("feffffffff00", 2**34 - 1)])
def test_wider_than_needed_is_read_as_kafka_does(octets: str, number: int) -> None:
    assert read_varint(bytes.fromhex(octets), 0) == (number, len(octets) // 2)
    cursor = Cursor(words(bytes.fromhex(octets) + WORD_PADDING), np.array([0]))
    assert (cursor.read().tolist(), cursor.position.tolist()) == ([number], [len(octets) // 2])


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b"", "the varint at byte 0 is cut short"),
        (b"\x80", "the varint at byte 0 is cut short"),
        (b"\xff" * 9, "the varint at byte 0 is cut short"),
        (b"\xff" * 10, "the varint at byte 0 is longer than 10 bytes"),
    ],
)
def test_varints_without_an_end(octets: bytes, message: str) -> None:
    with pytest.raises(VarintError, match=message):
        read_varint(octets, 0)


@settings(deadline=None)
@given(OF_A_WIDTH)
def test_columns(numbers: list[int]) -> None:
    octets = [encode_varint(number) for number in numbers]
    starts = np.cumsum([1] + [len(each) + 1 for each in octets])[:-1]
    cursor = Cursor(words(b"\xff" + b"\xff".join(octets) + WORD_PADDING), starts)
    assert cursor.read().tolist() == numbers
    assert cursor.position.tolist() == [start + len(each) for start, each in zip(starts.tolist(), octets, strict=True)]

    raw = zigzag(np.array(numbers))
    bits = np.broadcast_to(column_bits(raw), len(numbers))
    written = np.broadcast_to(column_words(raw, bits), len(numbers))
    assert [
        int(word).to_bytes(8, "little")[: size // 8] for word, size in zip(written, bits.tolist(), strict=True)
    ] == octets


@settings(deadline=None)
@given(OF_A_WIDTH, st.integers(1, 5), st.randoms(use_true_random=False))
def test_columns_one_behind_the_other(numbers: list[int], columns: int, random: Any) -> None:
    rows = [[random.choice(numbers) for _ in range(columns)] for _ in numbers]
    octets = [b"".join([encode_varint(rows[0][0]), b"\xff", *map(encode_varint, row[1:])]) for row in rows]
    starts = np.cumsum([0] + [len(each) for each in octets])
    cursor = Cursor(words(b"".join(octets) + WORD_PADDING), starts[:-1])
    assert cursor.read().tolist() == [rows[0][0]] * len(rows)
    cursor.skip_byte()
    assert [cursor.read().tolist() for _ in range(columns - 1)] == [list(column) for column in zip(*rows, strict=True)][
        1:
    ]
    assert cursor.position.tolist() == starts[1:].tolist()


@pytest.mark.parametrize("count", [1, 100, 2**15, 2**15 + 1])
def test_counting(count: int) -> None:
    octets = [encode_varint(number) for number in range(count)]
    starts = np.cumsum([0] + [len(each) for each in octets])
    cursor = Cursor(words(b"".join(octets) + WORD_PADDING), starts[:-1])
    assert counting(count).number.tolist() == list(range(count))
    assert cursor.passes(counting(count))
    assert cursor.position.tolist() == starts[1:].tolist()
    assert not Cursor(words(b"\x01" * 3 + WORD_PADDING), np.arange(3)).passes(counting(3))


def test_columns_of_wide_varints_are_left_to_others() -> None:
    octets = encode_varint(2**49)
    assert len(octets) == 8
    with pytest.raises(VarintError, match="wider than 7 bytes"):
        Cursor(words(b"\x00" + octets + WORD_PADDING), np.array([0, 1])).read()
    raw = zigzag(np.array([2**49]))
    with pytest.raises(VarintError, match="wider than 7 bytes"):
        column_words(raw, column_bits(raw))


def test_columns_that_begin_outside() -> None:
    with pytest.raises(IndexError):
        Cursor(words(b"\x00" + WORD_PADDING), np.array([0, 3])).read()
