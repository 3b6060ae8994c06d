"""Compiled writer and msgspec: the same bytes, whatever the rows are."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba", reason="the extra `fast`: pip install streams-engine[fast]")

from streams.columns import Column, column_from_rows, column_from_values
from streams.models import Record
from streams.serde.json_writer import JsonWriter
from streams.spans import Spans
from streams.text_column import TextColumn


class Value(Record, rename={"flag": "fläg"}):
    user: str | None
    number: float | None
    whole: int | None
    flag: bool | None
    anything: Any = None


def written(rows: list[Value | None]) -> list[bytes | None]:
    writer = JsonWriter.for_record(Value)
    assert writer is not None
    columns = [column_from_rows(rows, name, Value) for name in Value.__struct_fields__]
    return writer.write(columns, len(rows), np.array([row is not None for row in rows], np.bool_)).cut()


def same(rows: list[Value | None]) -> None:
    assert written(rows) == [None if row is None else msgspec.json.encode(row) for row in rows]


floats = st.floats() | st.decimals(-(10**6), 10**6, places=2).map(float) | st.integers(-(2**54), 2**54).map(float)
anything = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | floats | st.text(max_size=3)
rows = st.builds(
    Value,
    user=st.none() | st.text(max_size=9),
    number=st.none() | floats,
    whole=st.none() | st.integers(-(2**63), 2**63 - 1),
    flag=st.none() | st.booleans(),
    anything=anything | st.lists(anything, max_size=2),
)


@settings(deadline=None)
@given(st.lists(st.none() | rows, max_size=6))
def test_any_rows(drawn: list[Value | None]) -> None:
    same(drawn)


def of_floats(numbers: Any) -> list[bytes | None]:
    return JsonWriter([b"", b""]).write([Column(np.asarray(numbers, np.float64))], len(numbers)).cut()


def test_floats_of_any_bits_and_of_few_digits() -> None:
    random = np.random.default_rng(7)
    bits = random.integers(0, 2**64, 20_000, dtype=np.uint64).view(np.float64)
    decimals = np.round(random.uniform(-1000, 1000, 5_000), 2) * random.choice([1, 2, 1e-9, 1e12], 5_000)
    powers = np.array([base**power for base in (2.0, 10.0) for power in range(-300, 300)])
    edges = np.array([0.0, -0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 9007199254740993.0, np.nan])
    numbers = np.concatenate([bits, decimals, powers, np.nextafter(powers, 0), edges, -edges])
    assert of_floats(numbers) == list(map(msgspec.json.encode, numbers.tolist()))


@given(st.integers(0, 2**64 - 1))
def test_any_float(bits: int) -> None:
    (number,) = struct.unpack("<d", bits.to_bytes(8, "little"))
    assert of_floats([number]) == [msgspec.json.encode(number)]


def test_every_character_of_one_byte_and_some_others() -> None:
    same([Value("".join(map(chr, range(256))) + "✈😀", None, None, None)])
    same([Value(chr(code), 1.0, code, True) for code in range(256)])


def test_more_room_is_made_for_texts_of_escapes() -> None:
    same([Value("\x01" * size, 1e300, -(2**63), False, "\n" * size) for size in (0, 10, 10_000, 3)])


def test_text_that_is_spans_of_several_buffers_and_shared_ones() -> None:
    class Names(Record):
        first: str | None
        last: str | None
        again: str | None

    first = Spans(b"AB--CD", np.array([0, -1, 4]), np.array([2, -1, 6]))
    last = Spans(b'"\xc3\xa9', np.array([0, 1, 0]), np.array([1, 3, 3]))
    writer = JsonWriter.for_record(Names)
    assert writer is not None
    columns = [TextColumn(first), TextColumn(last), TextColumn(first.rows(np.array([2, 2, 0])))]
    rows = [Names(*texts) for texts in zip(*(column.to_list() for column in columns), strict=True)]
    assert writer.write(columns, 3).cut() == list(map(msgspec.json.encode, rows))


def test_arrays_of_a_shape() -> None:
    keys = column_from_values(['a"', "b"])
    writer = JsonWriter([b"[", b",", b",", b"]"])
    assert writer.write([keys, Column(np.array([-5, 0])), Column(np.array([5, 10]))], 2).cut() == [
        b'["a\\"",-5,5]',
        b'["b",0,10]',
    ]


def test_text_without_utf8_raises_as_msgspec() -> None:
    with pytest.raises(UnicodeEncodeError):
        written([Value("\ud800", None, None, None)])


def test_classes_that_are_not_for_the_writer() -> None:
    class Tagged(Record, tag=True):
        number: int

    class Array(Record, array_like=True):
        number: int

    class Short(Record, omit_defaults=True):
        number: int = 0

    assert [JsonWriter.for_record(kind) for kind in (Tagged, Array, Short, Record, int)] == [None] * 5
