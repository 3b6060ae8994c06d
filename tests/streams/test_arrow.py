"""A batch handed to Arrow consumers that know nothing of this package."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import arrow
from streams.batch import Batch


class Plane(msgspec.Struct):
    seats: int


class Flight(msgspec.Struct):
    carrier: str
    delay: float | None = None
    seats: int | None = None
    late: bool | None = None
    raw: bytes | None = None
    plane: Plane | None = None


class Event(msgspec.Struct):
    key: int
    timestamp: int


FLIGHTS = [
    Flight("AA", 1.5, 100, True, b"\x00\xff", Plane(7)),
    Flight("Zürich ✈ 日本"),
    Flight("", 0.0, 0, False, b""),
    Flight("UA", None, -(2**63), True),
]


def batch_of(values: list[Any], value_type: Any = None, keys: list[Any] | None = None) -> Batch:
    keys = [f"key-{index}" for index in range(len(values))] if keys is None else keys
    return Batch.of(
        list(zip(keys, values, strict=True)), timestamps=[10 * i for i in range(len(values))], value_type=value_type
    )


def table(batch: Batch) -> pa.Table:
    made = pa.table(batch)
    made.validate(full=True)
    return made


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Any:
    gc.collect()
    before = len(arrow._alive), len(arrow._capsules)
    yield
    gc.collect()
    assert (len(arrow._alive), len(arrow._capsules)) == before


def test_record_in_pyarrow() -> None:
    made = table(batch_of(FLIGHTS, Flight))
    assert made.schema == pa.schema(
        [
            pa.field("key", pa.string()),
            pa.field("timestamp", pa.timestamp("ms", "UTC"), nullable=False),
            pa.field("offset", pa.int64(), nullable=False),
            ("carrier", pa.string()),
            ("delay", pa.float64()),
            ("seats", pa.int64()),
            ("late", pa.bool_()),
            ("raw", pa.binary()),
            ("plane", pa.string()),
        ]
    )
    assert made["carrier"].to_pylist() == [flight.carrier for flight in FLIGHTS]
    assert made["delay"].to_pylist() == [1.5, None, 0.0, None]
    assert made["seats"].to_pylist() == [100, None, 0, -(2**63)]
    assert made["late"].to_pylist() == [True, None, False, True]
    assert made["raw"].to_pylist() == [b"\x00\xff", None, b"", None]
    assert made["plane"].to_pylist() == ['{"seats":7}', None, None, None]
    assert made["offset"].to_pylist() == [0, 1, 2, 3]
    assert made["timestamp"].cast(pa.int64()).to_pylist() == [0, 10, 20, 30]


def test_record_in_polars() -> None:
    frame = pl.DataFrame(batch_of(FLIGHTS, Flight))
    assert frame["carrier"].to_list() == [flight.carrier for flight in FLIGHTS]
    assert frame["delay"].to_list() == [1.5, None, 0.0, None]
    assert frame["late"].to_list() == [True, None, False, True]
    assert frame["raw"].to_list() == [b"\x00\xff", None, b"", None]
    assert frame.filter(pl.col("seats") >= 0)["key"].to_list() == ["key-0", "key-2"]


def test_stream_reader_and_several_exports_of_one_batch() -> None:
    batch = batch_of(FLIGHTS, Flight)
    reader = pa.RecordBatchReader.from_stream(batch)
    parts = list(reader)
    assert [part.num_rows for part in parts] == [4]
    assert pa.Table.from_batches(parts).equals(table(batch))


@pytest.mark.parametrize(("start", "stop"), [(0, 2), (1, 3), (3, 4), (2, 2), (0, 0)])
def test_slices(start: int, stop: int) -> None:
    batch = batch_of(FLIGHTS, Flight)
    for name in ("delay", "seats", "late"):
        batch.column(name)
    assert table(batch[start:stop]).to_pylist() == table(batch).to_pylist()[start:stop]
    assert pl.DataFrame(batch[start:stop]).rows() == pl.DataFrame(batch).rows()[start:stop]


def test_empty_batch_and_batch_of_deletions_keep_the_types() -> None:
    full = table(batch_of(FLIGHTS, Flight)).schema
    assert table(batch_of([], Flight)).schema == full
    deletions = table(batch_of([None, None], Flight))
    assert deletions.schema == full
    assert deletions["delay"].to_pylist() == [None, None]


@pytest.mark.parametrize(
    ("values", "value_type", "arrow_type", "expected"),
    [
        ([1, None, 3], None, pa.int64(), [1, None, 3]),
        ([1, 2], float, pa.float64(), [1.0, 2.0]),
        ([True, False], bool, pa.bool_(), [True, False]),
        (["a", None, "ü"], str, pa.string(), ["a", None, "ü"]),
        ([b"a", None], None, pa.binary(), [b"a", None]),
        ([1, "a", None], None, pa.string(), ["1", '"a"', None]),
        ([2**64 - 1, 1], None, pa.string(), ["18446744073709551615", "1"]),
        ([{"a": [1]}, [2]], None, pa.string(), ['{"a":[1]}', "[2]"]),
        ([None], int, pa.int64(), [None]),
        ([None], None, pa.string(), [None]),
    ],
)
def test_values_without_fields(
    values: list[Any], value_type: Any, arrow_type: pa.DataType, expected: list[Any]
) -> None:
    made = table(batch_of(values, value_type))["value"]
    assert (made.type, made.to_pylist()) == (arrow_type, expected)


@pytest.mark.parametrize(
    ("keys", "expected"), [([1, None], [1, None]), ([b"\xff", b""], [b"\xff", b""]), ([None, None], [None, None])]
)
def test_keys(keys: list[Any], expected: list[Any]) -> None:
    assert table(batch_of([1, 2], keys=keys))["key"].to_pylist() == expected


def test_fields_keep_their_names() -> None:
    made = table(batch_of([Event(5, 6)], Event))
    assert made.column_names == ["record_key", "record_timestamp", "offset", "key", "timestamp"]
    assert made["key"].to_pylist() == [5]


def test_records_of_an_undeclared_type_have_columns() -> None:
    assert table(batch_of([Plane(1), None])).column_names[-1] == "seats"


def test_what_does_not_encode_says_which_column() -> None:
    with pytest.raises(TypeError, match="column 'value'"):
        pa.table(batch_of([object()]))


def test_arrays_are_not_copied() -> None:
    batch = batch_of([Plane(1), Plane(2), Plane(3)], Plane)
    column = batch.column("seats").values
    made = table(batch)
    assert made["seats"].chunk(0).buffers()[1].address == column.__array_interface__["data"][0]
    assert made["offset"].chunk(0).buffers()[1].address == batch.offsets.__array_interface__["data"][0]


def test_consumers_keep_the_memory_and_release_it() -> None:
    offsets = np.arange(5)
    kept = weakref.ref(offsets)
    batch = Batch(offsets=offsets, timestamps=np.arange(5), values=[1, 2, 3, 4, 5], keys=["a"] * 5)
    del offsets
    only_child = table(batch)["offset"]
    del batch
    gc.collect()
    assert only_child.to_pylist() == [0, 1, 2, 3, 4]
    assert kept() is not None
    del only_child
    gc.collect()
    assert kept() is None


def test_streams_that_nobody_reads_or_that_are_read_in_part() -> None:
    batch = batch_of(FLIGHTS, Flight)
    kept = weakref.ref(batch.offsets)
    capsules = [batch.__arrow_c_stream__() for _ in range(3)]
    unread = pa.RecordBatchReader.from_stream(batch)
    schema = unread.schema
    del unread, capsules, batch
    gc.collect()
    assert kept() is None
    assert schema.names[0] == "key"


def test_nothing_is_said_at_exit_when_a_consumer_lives_longest() -> None:
    code = (
        "from streams.batch import Batch; import pyarrow as pa, polars as pl;"
        "b = Batch.of([('a', 1)]); t = pa.table(b); f = pl.DataFrame(b); c = b.__arrow_c_stream__()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@given(
    st.lists(st.tuples(st.none() | st.text(), st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.booleans())),
    st.integers(0, 10),
)
def test_any_column_comes_out_as_it_went_in(rows: list[tuple[Any, Any, Any]], start: int) -> None:
    values = [Flight(text or "", None, number, flag) for text, number, flag in rows]
    batch = batch_of(values, Flight, keys=[text for text, _, _ in rows])[start:]
    made = table(batch)
    assert made["key"].to_pylist() == batch.keys
    assert made["seats"].to_pylist() == [flight.seats for flight in batch.values]
    assert made["late"].to_pylist() == [flight.late for flight in batch.values]
    assert made["carrier"].to_pylist() == [flight.carrier for flight in batch.values]
