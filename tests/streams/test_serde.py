from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import streams
from streams.errors import ConfigError, EncodeError
from streams.models import Record, Timestamp
from streams.serde import (
    JAVA_INT32,
    JAVA_INT64,
    JAVA_UUID,
    RAW,
    TEXT,
    HeaderSerde,
    Serde,
    json_serde,
    key_serde_for,
    msgpack_serde,
    serde_for,
)
from streams.serde.types import without_none
from streams.testing.driver import Driver
from streams.windows import Windowed


class Flight(Record):
    carrier: str
    delay: float | None = None


class Charter(Flight):
    price: float = 0.0


class Click(Record):
    at: Timestamp


@dataclass
class Point:
    x: int
    y: int


class Movie(TypedDict):
    title: str


class Opaque:
    pass


class Upper(Serde[str]):
    """A user's own, which may raise anything."""

    def encode(self, value: str) -> bytes:
        return value.upper().encode()

    def decode(self, data: bytes) -> str:
        if data == b"STOP":
            raise StopIteration
        return data.decode().lower()


ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("serde", "value", "data"),
    [
        (serde_for(str), "Zürich", "Zürich".encode()),
        (serde_for(bytes), b"\x00\xff", b"\x00\xff"),
        (serde_for(Flight), Flight("AA", 1.5), b'{"carrier":"AA","delay":1.5}'),
        (serde_for(Flight | None), Flight("AA"), b'{"carrier":"AA","delay":null}'),
        (serde_for(dict[str, int]), {"AA": 1}, b'{"AA":1}'),
        (serde_for(int), 7, b"7"),
        (serde_for(float), 7.0, b"7.0"),
        (serde_for(bool), True, b"true"),
        (serde_for(None), {"a": [1, None]}, b'{"a":[1,null]}'),
        (serde_for(Any), [1], b"[1]"),
        (serde_for("json"), "a", b'"a"'),
        (serde_for("text"), "a", b"a"),
        (serde_for(Point), Point(1, 2), b'{"x":1,"y":2}'),
        (serde_for(Movie), {"title": "M"}, b'{"title":"M"}'),
        (serde_for(Decimal), Decimal("1.10"), b'"1.10"'),
        (serde_for(Windowed[str]), Windowed("AA", 0, 10), b'["AA",0,10]'),
        (serde_for(int, default="msgpack"), 7, b"\x07"),
        (serde_for(Flight, default="msgpack"), Flight("A"), msgspec.msgpack.encode({"carrier": "A", "delay": None})),
        (serde_for(tuple[int, float], default="msgpack"), (1, 2.0), msgspec.msgpack.encode([1, 2.0])),
        (serde_for(None, default="msgpack"), {"n": 1}, b"\x81\xa1n\x01"),
        (key_serde_for(str), "AA", b"AA"),
        (key_serde_for(str | None), "AA", b"AA"),
        (key_serde_for(bytes), b"AA", b"AA"),
        (key_serde_for(int), -7, b"-7"),
        (key_serde_for(uuid.UUID), ID, b'"12345678-1234-5678-1234-567812345678"'),
        (key_serde_for(tuple[str, int]), ("AA", 1), b'["AA",1]'),
        (key_serde_for(Flight), Flight("AA"), b'{"carrier":"AA","delay":null}'),
        (key_serde_for(None), "AA", b'"AA"'),
        (key_serde_for(JAVA_INT64), 1, b"\x00\x00\x00\x00\x00\x00\x00\x01"),
        (JAVA_INT32, -2, b"\xff\xff\xff\xfe"),
        (JAVA_UUID, ID, b"12345678-1234-5678-1234-567812345678"),
        (serde_for(Upper()), "late", b"LATE"),
    ],
    ids=repr,
)
def test_there_and_back(serde: Serde[Any], value: object, data: bytes) -> None:
    assert serde.encode(value) == data
    assert serde.decode(data) == value
    assert type(serde.decode(data)) is type(value)
    assert serde.encode_many([value, None, value]) == [data, None, data]
    assert serde.encode_many([value]) == [data]
    assert serde.decode_many([None, data]) == ([None, value], [])
    assert serde.decode_each([data, None]) == [value, None]


@pytest.mark.parametrize("serde", [TEXT, RAW, json_serde(), msgpack_serde(), Upper(), JAVA_INT32], ids=repr)
def test_nothing_in_nothing_out(serde: Serde[Any]) -> None:
    assert serde.encode_many([]) == []
    assert serde.decode_many([]) == ([], [])
    assert serde.encode_many([None]) == [None]
    assert serde.decode_many([None, None]) == ([None, None], [])


def test_what_does_not_decode_is_located_and_the_rest_goes_on() -> None:
    good, bad = b'{"carrier":"AA"}', b'{"carrier":1}'
    values, errors = serde_for(Flight).decode_many([bad, good, None, b"", good, b"{", bad])
    assert values == [None, Flight("AA"), None, None, Flight("AA"), None, None]
    assert [index for index, _ in errors] == [0, 3, 5, 6]
    assert str(errors[0][1]) == "Expected `str`, got `int` - at `$.carrier`"
    with pytest.raises(msgspec.ValidationError, match="Expected `str`"):
        serde_for(Flight).decode_each([good, bad])


def test_text_that_is_no_text() -> None:
    values, errors = TEXT.decode_many([b"a", b"\xff", b"b"])
    assert values == ["a", None, "b"]
    assert [(index, type(error)) for index, error in errors] == [(1, UnicodeDecodeError)]


def test_a_decoder_that_raises_stop_iteration_loses_nothing() -> None:
    values, errors = Upper().decode_many([b"A", b"STOP", b"B"])
    assert values == ["a", None, "b"]
    assert [index for index, _ in errors] == [1]


PIECES = [
    b'{"carrier":"AA"}',
    b'{"carrier":',
    b'"AA"}',
    b"\n",
    b"\r",
    b" ",
    b"",
    b"1",
    b"[",
    b"]",
    b",",
    b'"a\nb"',
    b"{}",
]


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=3).map(b"".join) | st.none(), max_size=8))
def test_many_is_one_by_one(data: list[bytes | None]) -> None:
    for serde in (json_serde(Flight), json_serde()):
        values, errors = serde.decode_many(data)
        located = dict(errors)
        for index, item in enumerate(data):
            if item is None:
                assert values[index] is None and index not in located
                continue
            try:
                expected = serde.decode(item)
            except msgspec.MsgspecError as error:
                assert str(located[index]) == str(error)
            else:
                assert values[index] == expected and index not in located


def test_timestamps_come_in_as_text_and_go_out_as_ms() -> None:
    serde = serde_for(Click)
    click = serde.decode(b'{"at":"1970-01-01T00:00:01Z"}')
    assert (click, serde.encode(click)) == (Click(1000), b'{"at":1000}')


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Flight, {"carrier": "AA"}, r"dict where Flight is declared: \{'carrier': 'AA'\}"),
        (Flight, "AA", "str where Flight is declared"),
        (str, 5, "int where str is declared: 5"),
        (bytes, "a", "str where bytes is declared"),
        (int, 1.5, "float where int is declared"),
        (int, True, "bool where int is declared"),
        (bool, 1, "int where bool is declared"),
        (float, "1", "str where float is declared"),
        (str, "x" * 0 or list(range(1000)), r"list where str is declared: \[0, 1, .*\.\.\."),
    ],
)
def test_values_of_another_type_are_refused_before_anyone_reads_them(kind: type, value: object, message: str) -> None:
    for serde in (serde_for(kind), key_serde_for(kind)):
        with pytest.raises(EncodeError, match=message):
            serde.encode(value)
        with pytest.raises(EncodeError, match=message):
            serde.encode_many([None, value])


def test_what_fits_is_taken() -> None:
    assert serde_for(float).encode_many([1, 2.5]) == [b"1", b"2.5"]
    assert serde_for(Flight).encode(Charter("AA", price=2.0)) == b'{"carrier":"AA","delay":null,"price":2.0}'
    assert serde_for(Flight).encode_many([Charter("AA"), Flight("B"), None])[2] is None


@pytest.mark.parametrize("value", [(1, 2), {1}, Flight("AA"), Point(1, 2), frozenset()])
def test_untyped_state_that_would_come_back_as_something_else(value: object) -> None:
    serde = serde_for(None, default="msgpack")
    with pytest.raises(EncodeError, match="without a declared type"):
        serde.encode(value)
    with pytest.raises(EncodeError, match="without a declared type"):
        serde.encode_many([value])


def test_equal_keys_give_equal_bytes() -> None:
    serde = key_serde_for(dict[str, int])
    assert serde.encode({"b": 1, "a": 2}) == serde.encode({"a": 2, "b": 1})


@pytest.mark.parametrize("make", [serde_for, key_serde_for, msgpack_serde])
def test_a_class_without_a_form_is_refused_at_once(make: Any) -> None:
    with pytest.raises(ConfigError, match=r"Opaque has no (JSON|MessagePack) form\. Declare a streams\.Record"):
        make(Opaque)


def test_unknown_names() -> None:
    with pytest.raises(ConfigError, match=r"no serde is called 'jsn'\. Did you mean 'json'\?"):
        serde_for("jsn")


def test_java_layouts() -> None:
    assert JAVA_INT64.decode(struct.pack(">q", -(2**63))) == -(2**63)
    values, errors = JAVA_INT32.decode_many([b"\x00\x00\x00\x01", b"\x00"])
    assert (values, len(errors)) == ([1, None], 1)
    with pytest.raises(struct.error):
        JAVA_INT32.encode(2**31)


def test_optional_types() -> None:
    assert without_none(str | None) is str
    assert without_none(int | str | None) == int | str
    assert without_none(dict[str, None]) == dict[str, None]


def test_a_serde_is_given_the_headers_of_a_records_value() -> None:
    """Where records are read, where they are written, and where they are written one by one as one of them fails."""

    class Metres(HeaderSerde[float]):
        def encode_row(self, value: float, headers: Any) -> bytes:
            return str(float(value) / (1000 if ("unit", b"km") in headers else 1)).encode()

        def decode_row(self, data: bytes, headers: Any) -> float:
            return float(data) * (1000 if ("unit", b"km") in headers else 1)

    app = streams.App("shop")
    stream = app.topic("in", key_type=str, value_type=Metres()).stream()
    stream.map_values(lambda v: v if v != 7 else "seven").to(
        app.topic("out", key_type=str, value_type=Metres()), on_error=streams.skip()
    )
    stream.map_values(lambda v: v, value_type=float).to("plain")
    with Driver(app) as driver:
        km = [("unit", b"km")]
        driver.pipe("in", [("a", 3000.0, 1, km), ("a", 2.0, 2), ("a", 7.0, 3), ("a", None, 4, km)])
        assert [record.value for record in driver.read("plain")] == [3000.0, 2.0, 7.0, None]
        assert [record.value for record in driver.read("out")] == [3000.0, 2.0, None]
