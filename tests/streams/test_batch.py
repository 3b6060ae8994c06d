"""The batch: rows and columns of the same records, whatever is cut, chosen and changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streams
from streams.batch import Batch
from streams.columns import Column
from streams.faces import Keys, Values, WindowedSpans
from streams.models import Record
from streams.serde import JAVA_INT64, TEXT, key_serde_for
from streams.spans import Spans
from streams.windows import Windowed


class Flight(streams.Record):
    carrier: str | None = None
    delay: float | None = None
    seats: int | None = None


ROWS: list[tuple[Any, Any, int]] = [("a", Flight("AA", 1.5, 2), 10), (None, None, 30), ("b", Flight("UA"), 20)]


def made(rows: list[tuple[Any, Any, int]] = ROWS, *, lazy: bool = False, headers: bool = True) -> Batch:
    """The rows as a batch; `lazy`: as a source makes it, from the bytes of its keys."""
    keys, values, times = ([row[at] for row in rows] for at in range(3))
    return Batch(
        offsets=np.arange(100, 100 + len(rows)),
        timestamps=np.array(times, np.int64),
        keys=Keys(len(rows), None, TEXT.encode_many(keys), TEXT.decode_each) if lazy else keys,
        values=values,
        headers=[[("n", b"%d" % n)] for n in range(len(rows))] if headers else None,
        topic="flights",
        partition=3,
        value_type=Flight,
    )


def shown(batch: Batch) -> list[tuple[Any, ...]]:
    headers = batch.headers or [None] * len(batch)
    rows = zip(batch.offsets.tolist(), batch.rows(), headers, strict=True)
    return [(offset, *row, header) for offset, row, header in rows]


# -- one batch


@pytest.mark.parametrize("lazy", [False, True])
def test_rows(lazy: bool) -> None:
    batch = made(lazy=lazy)
    assert (len(batch), repr(batch)) == (3, "<Batch flights-3: 3 records>")
    assert (batch.keys, batch.values) == (["a", None, "b"], [row[1] for row in ROWS])
    assert list(batch.rows()) == ROWS


def test_columns() -> None:
    batch = made()
    assert list(batch.columns) == ["carrier", "delay", "seats"] and len(batch.columns) == 3
    assert batch.columns["delay"].tolist()[0] == 1.5 and np.isnan(batch.columns["delay"][1:]).all()
    assert batch.columns["carrier"].tolist() == ["AA", None, "UA"]
    assert batch.column("seats").to_list() == [2, None, None]
    assert batch.column("seats") is batch.column("seats")
    with pytest.raises(
        KeyError, match=r"'x' is not a field of <Batch flights-3: 3 records>; it has carrier, delay, seats"
    ):
        batch.columns["x"]


def test_untyped_values_have_the_columns_that_were_asked_for() -> None:
    batch = Batch.of([("a", {"x": 1}), ("b", {}), ("c", None)])
    with pytest.raises(KeyError, match="no typed values"):
        batch.columns["x"]
    assert batch.column("x").to_list() == [1, None, None]
    assert list(batch.columns) == ["x"]


def test_a_batch_without_values_or_keys_has_none_of_them() -> None:
    batch = Batch(offsets=np.arange(2), timestamps=np.zeros(2, np.int64))
    assert (batch.keys, batch.values, batch.key_bytes) == ([None, None], [None, None], None)


# -- cut


def test_a_slice_shares_and_does_not_copy() -> None:
    batch = made(lazy=True)
    column = batch.column("seats")
    part = batch[1:]
    assert np.shares_memory(part.offsets, batch.offsets) and np.shares_memory(part.timestamps, batch.timestamps)
    assert np.shares_memory(part.column("seats").values, column.values)
    assert not part._keys.are_made and not part._values.are_made
    assert part.values[0] is batch.values[1]


def test_a_slice_of_everything_is_the_batch_itself() -> None:
    batch = made()
    assert batch[:] is batch is batch[0:3] is batch[0:99]


@pytest.mark.parametrize("step", [2, -1])
def test_a_slice_is_one_piece(step: int) -> None:
    with pytest.raises(ValueError, match=r"step 1, not .*; use take\(mask\)"):
        made()[::step]


def test_take_everything_is_the_batch_itself() -> None:
    batch = made()
    assert batch.take(np.ones(3, np.bool_)) is batch


def test_keys_that_nobody_asks_for_are_not_decoded() -> None:
    batch = made(lazy=True)
    parts = [batch[1:], batch.take(np.array([True, False, True])), batch.with_values([1, 2, 3])]
    assert [part.key_bytes for part in parts] == [[None, b"b"], [b"a", b"b"], [b"a", None, b"b"]]
    assert not any(part._keys.are_made for part in [batch, *parts])
    assert [part.keys for part in parts] == [[None, "b"], ["a", "b"], ["a", None, "b"]]


def test_new_keys_have_no_bytes_of_the_log() -> None:
    for lazy in (False, True):
        batch = made(lazy=lazy).with_keys(["x", "y", "z"])
        assert (batch.key_bytes, batch[1:].key_bytes, batch[1:].keys) == (None, None, ["y", "z"])
        assert batch.with_values([1, 2, 3]).keys == ["x", "y", "z"]
        assert batch.take(np.array([False, True, True])).keys == ["y", "z"]


def test_key_bytes_are_used_only_where_they_are_written_alike() -> None:
    lazy, plain = made(lazy=True), made()
    assert lazy.has_keys_of(TEXT) and lazy[1:].has_keys_of(TEXT) and not plain.has_keys_of(TEXT)
    assert lazy.encoded_keys(TEXT) is lazy.key_bytes
    assert lazy.encoded_keys(key_serde_for(None)) == [b'"a"', None, b'"b"'] == plain.encoded_keys(key_serde_for(None))
    numbers = Batch.of([(1, 1), (2, 2)])
    assert numbers.encoded_keys(JAVA_INT64) == [JAVA_INT64.encode(1), JAVA_INT64.encode(2)]


def test_what_is_kept_and_what_is_not() -> None:
    batch = made()
    column = batch.column("seats")
    assert batch.with_keys(["x"] * 3).column("seats") is column
    other = batch.with_values([{"seats": 9}] * 3)
    assert other.column("seats").to_list() == [9, 9, 9] and other.value_type is None
    assert batch.with_values(batch.values, Flight).value_type is Flight
    assert batch.take(np.array([True, False, False])).value_type is Flight is batch[1:].value_type


def test_expand_gives_each_row_time_offset_and_headers_of_its_record() -> None:
    batch = made().expand([0, 0, 2], ["x", "y", "z"], [1, 2, 3], int)
    assert shown(batch) == [
        (100, "x", 1, 10, [("n", b"0")]),
        (100, "y", 2, 10, [("n", b"0")]),
        (102, "z", 3, 20, [("n", b"2")]),
    ]
    assert (batch.topic, batch.partition, batch.value_type, batch.key_bytes) == ("flights", 3, int, None)
    assert shown(made(headers=False).expand([1], ["x"], [1]))[0][-1] is None


# -- any chain of these against lists


Plain = list[tuple[Any, ...]]
STEPS = st.lists(
    st.tuples(st.sampled_from(["slice", "take", "values", "keys", "expand", "look"]), st.integers(0, 2**16)), max_size=7
)
RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.none() | st.builds(Flight, st.none(), st.none() | st.floats(0, 9), st.none() | st.integers(0, 9)),
        st.integers(0, 99),
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(rows=RECORDS, steps=STEPS, lazy=st.booleans(), headers=st.booleans())
def test_any_chain_gives_what_the_same_gives_on_lists(
    rows: list[tuple[Any, Any, int]], steps: list[tuple[str, int]], lazy: bool, headers: bool
) -> None:
    batch = made(rows, lazy=lazy, headers=headers)
    plain: Plain = shown(made(rows, headers=headers))
    for what, number in steps:
        batch, plain = CHAIN[what](batch, plain, number)
        assert len(batch) == len(plain)
    assert shown(batch) == plain
    values = [row[2] for row in plain]
    assert batch.column("seats").to_list() == [getattr(value, "seats", None) for value in values]
    assert (batch.topic, batch.partition) == ("flights", 3)


def _slice(batch: Batch, plain: Plain, number: int) -> tuple[Batch, Plain]:
    start, stop = sorted((number % (len(plain) + 1), number // 7 % (len(plain) + 1)))
    return batch[start:stop], plain[start:stop]


def _take(batch: Batch, plain: Plain, number: int) -> tuple[Batch, Plain]:
    mask = [bool(number >> at & 1) for at in range(len(plain))]
    return batch.take(np.array(mask, np.bool_)), [row for row, keep in zip(plain, mask, strict=True) if keep]


def _values(batch: Batch, plain: Plain, number: int) -> tuple[Batch, Plain]:
    values = [Flight(seats=number + at) for at in range(len(plain))]
    rows = [(*row[:2], value, *row[3:]) for row, value in zip(plain, values, strict=True)]
    return batch.with_values(values, Flight), rows


def _keys(batch: Batch, plain: Plain, number: int) -> tuple[Batch, Plain]:
    keys = [f"k{number + at}" for at in range(len(plain))]
    return batch.with_keys(keys), [(row[0], key, *row[2:]) for row, key in zip(plain, keys, strict=True)]


def _expand(batch: Batch, plain: Plain, number: int) -> tuple[Batch, Plain]:
    index = [at for at in range(len(plain)) for _ in range(number >> at & 1)] * (1 + number % 2)
    keys, values = [f"e{n}" for n in range(len(index))], [Flight(seats=n) for n in range(len(index))]
    rows = [(plain[at][0], keys[n], values[n], *plain[at][3:]) for n, at in enumerate(index)]
    return batch.expand(index, keys, values, Flight), rows


def _look(batch: Batch, plain: Plain, number: int) -> tuple[Batch, Plain]:
    """Faces that were made already must be the same in what is made from them."""
    assert batch.keys == [row[1] for row in plain] and batch.values == [row[2] for row in plain]
    if batch.value_type is Flight:
        batch.column("seats")
    return batch, plain


CHAIN: dict[str, Callable[[Batch, Plain, int], tuple[Batch, Plain]]] = {
    "slice": _slice,
    "take": _take,
    "values": _values,
    "keys": _keys,
    "expand": _expand,
    "look": _look,
}


# -- made of columns


class Sum(Record):
    total: float
    count: int | None
    name: str


class Late(Record, kw_only=True):
    total: float
    count: int | None
    name: str


def made_of_columns(kind: type[Record] = Sum, present: Any = None) -> Batch:
    columns = {
        "total": Column(np.array([1.5, 2.5, 3.5])),
        "count": Column(np.array([1, 2, 3]), np.array([True, False, True])),
        "name": Column(np.array(["a", "b", "c"], object)),
    }
    return Batch.of([(n, None) for n in range(3)]).with_columns(columns, kind, present)


@pytest.mark.parametrize("kind", [Sum, Late])
def test_rows_are_made_of_columns_once_when_somebody_asks(kind: type[Record]) -> None:
    batch = made_of_columns(kind)
    rows = [
        kind(total=1.5, count=1, name="a"),
        kind(total=2.5, count=None, name="b"),
        kind(total=3.5, count=3, name="c"),
    ]
    later, parts = (
        batch.with_keys(["x", "y", "z"]),
        [batch[1:], batch[1:][1:], batch.take(np.array([True, False, True]))],
    )
    assert all(part.rowless for part in [batch, later, *parts])
    assert parts[1].column("count").to_list() == [3] and parts[1].rowless
    assert [part.values for part in parts] == [rows[1:], rows[2:], [rows[0], rows[2]]]
    assert batch.values == rows and batch.values is later.values
    assert not batch.rowless and not later.rowless
    assert batch.column("count").to_list() == [1, None, 3]


def test_where_there_is_no_value_the_row_is_none() -> None:
    batch = made_of_columns(present=np.array([True, False, True]))
    chosen = batch.take(np.array([False, True, True]))
    assert batch.present is not None and batch[1:].present is not None
    assert (batch[1:].values, chosen.values) == ([None, Sum(3.5, 3, "c")], [None, Sum(3.5, 3, "c")])


def test_a_batch_of_some_columns_is_not_rowless() -> None:
    columns = {"total": Column(np.array([1.5]))}
    values = Values(1, kind=Sum, columns=columns)
    batch = Batch(offsets=np.arange(1), timestamps=np.zeros(1, np.int64), values=values)
    assert not batch.rowless
    assert batch.values == [None]


def test_windowed_keys_are_made_when_somebody_asks() -> None:
    keys = WindowedSpans(Spans(b"aabc", np.array([0, 2, 3]), np.array([2, 3, 4])), np.arange(3), np.arange(3) + 10)
    batch = Batch(
        offsets=np.arange(3),
        timestamps=np.zeros(3, np.int64),
        keys=Keys(3, decode=key_serde_for(str).decode_each, windowed=keys),
        values=[1, 2, 3],
    )
    made = [Windowed("aa", 0, 10), Windowed("b", 1, 11), Windowed("c", 2, 12)]
    chosen = batch.take(np.array([True, False, True]))
    assert batch.key_bytes is None and not batch.has_keys_of(key_serde_for(str))
    assert (batch[1:].windowed, chosen.windowed) != (None, None)
    assert (batch[1:].keys, chosen.keys, batch.with_values([4, 5, 6]).keys) == (made[1:], [made[0], made[2]], made)
    assert chosen.windowed is not None and chosen.windowed.ends.tolist() == [10, 12]
    assert batch.with_keys([1, 2, 3]).windowed is None
