"""Named aggregates: the states in arrays (`NamedStates`) and those in rows (`RowStates`) agree, whatever comes."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import streams
from streams import agg
from streams.operators.aggregations.fold_states import RowStates
from streams.operators.aggregations.named_aggregates import NamedStates

pytestmark = pytest.mark.usefixtures("twin")


class Reading(streams.Record):
    n: int | None = None
    x: float | None = None
    name: str | None = None
    on: bool | None = None


ALL = ("count", "sum", "mean", "min", "max", "first", "last", "variance", "stddev")


def all_of(field: str, argument: Any) -> dict[str, Any]:
    return {f"{name}_{field}": getattr(agg, name)(argument) for name in ALL}


EXPRESSIONS: dict[str, Any] = {
    "records": agg.count(),
    **all_of("n", Reading.n),
    **all_of("x", Reading.x),
    **all_of("both", Reading.n * 2 + Reading.x),
    "first_name": agg.first(Reading.name),
    "max_name": agg.max(Reading.name),
    "count_name": agg.count(Reading.name),
    "last_on": agg.last(Reading.on),
    "sum_on": agg.sum(Reading.on),
    "mean_on": agg.mean(Reading.on),
}
LAMBDAS: dict[str, Any] = {"records": agg.count(), **all_of("v", lambda value: value)}

INTS = st.integers(-9, 9) | st.integers(-(2**63), 2**63 - 1) | st.integers(-(2**70), 2**70)
FLOATS = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-8, 8, width=16) | st.just(-0.0)
READINGS = st.builds(
    Reading,
    st.none() | INTS,
    st.none() | FLOATS,
    st.sampled_from([None, "", "a", "b"]),
    st.sampled_from([None, True, False]),
)
KEYED = st.tuples(st.sampled_from("abc"), READINGS)
LOOSE = st.tuples(st.sampled_from("ab"), st.none() | INTS | FLOATS | st.booleans() | st.text("xy", max_size=2))


def told(states: Any, slots: Any) -> list[Any]:
    """What is read back of what is stored, and what is shown: repr tells -0.0, NaN, True and 1 apart."""
    stored = states.encode(slots)
    packed, columns = states.pack(slots), states.columns(slots)
    assert packed is None or packed.cut() == stored
    shown = [repr(result) for result in states.results(slots)]
    if columns is not None:
        rows = zip(*(column.to_list() for column in columns.values()), strict=True)
        assert [repr(states._form._row(*row)) for row in rows] == shown
    return [[repr(states._form.decode(payload)) for payload in stored], shown]


def both(bench: Callable[..., Any], named: dict[str, Any], value_type: Any, rows: list[Any], cuts: list[int]) -> None:
    build = lambda s: s.group_by_key().aggregate(**named, name="t")  # noqa: E731
    by_array = bench(build, value_type=value_type, policy=streams.skip())
    by_row = bench(build, value_type=value_type, policy=streams.skip())
    by_row.operator._kept.states = RowStates(by_row.node, by_row.context)
    assert isinstance(by_array.operator._kept.states, NamedStates)
    edges = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    for start, stop in pairwise(edges):
        for made in (by_array, by_row):
            made.send(*rows[start:stop])
        slots = np.arange(len(by_row.operator._kept.groups))
        good = slots[by_row.operator._kept.groups.timestamps[slots] >= 0]
        assert told(by_array.operator._kept.states, good) == told(by_row.operator._kept.states, good)
    assert by_array.counts == by_row.counts
    assert (
        by_array.operator._kept.groups.timestamps[slots].tolist()
        == by_row.operator._kept.groups.timestamps[slots].tolist()
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(KEYED, max_size=25), cuts=st.lists(st.integers(1, 25), max_size=3))
@example(rows=[("a", Reading(n=2**62)), ("a", Reading(n=2**62)), ("a", Reading(n=-(2**63)))], cuts=[1])
@example(rows=[("a", Reading(x=1.7976931348623157e308)), ("a", Reading(x=-1e292)), ("a", Reading(x=1.0))], cuts=[])
@example(rows=[("a", Reading(n=2**64)), ("a", Reading(n=1)), ("b", Reading(x=1.5))], cuts=[2])
@example(rows=[("a", Reading(n=2**70, x=1.0)), ("a", Reading(n=10**308 * 100, x=2.0))], cuts=[])
def test_expressions_over_typed_values(bench: Callable[..., Any], rows: list[Any], cuts: list[int]) -> None:
    both(bench, EXPRESSIONS, Reading, rows, cuts)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(LOOSE, max_size=25), cuts=st.lists(st.integers(1, 25), max_size=3))
@example(rows=[("a", "x"), ("a", 1), ("a", "y"), ("a", 2.5)], cuts=[])
@example(rows=[("a", 1.5), ("a", 10**400), ("a", 2)], cuts=[1])
@example(rows=[("a", True), ("a", 2), ("a", 2.5)], cuts=[1, 2])
def test_functions_over_values_of_any_kind(bench: Callable[..., Any], rows: list[Any], cuts: list[int]) -> None:
    """What one aggregate does not take is left out of all, and the policy is asked once a record."""
    both(bench, LAMBDAS, None, rows, cuts)


def test_a_result_beyond_every_float_is_infinite(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.group_by_key().aggregate(mean=agg.mean(lambda v: v), name="t"), value_type=None)
    made.send(("a", 10**400), ("a", 1), ("b", -(10**400)))
    assert [row.value.mean for row in made.flush()] == [float("inf"), float("-inf")]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(KEYED, min_size=1, max_size=20), at=st.integers(0, 20))
def test_states_that_were_stored_go_on_as_if_they_had_not_been(
    bench: Callable[..., Any], rows: list[Any], at: int
) -> None:
    build = lambda s: s.group_by_key().aggregate(**EXPRESSIONS, name="t")  # noqa: E731
    whole = bench(build, value_type=Reading, policy=streams.skip())
    parted = bench(build, value_type=Reading, policy=streams.skip())
    whole.send(*rows)
    parted.send(*rows[:at])
    parted.commit()
    parted.restart()
    parted.send(*rows[at:])
    expected = {row.key: (repr(row.value), row.timestamp) for row in whole.flush()}
    found = {row.key: (repr(row.value), row.timestamp) for row in parted.flush()}
    assert found == {key: expected[key] for key in found}
    assert set(found) == {
        key for (key, _), offset in zip(rows, range(len(rows)), strict=True) if offset >= at and key in expected
    }


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Parcel(streams.Record):
    size: Size
    pieces: int


def test_states_of_a_declared_type_are_read_back_as_that(bench: Callable[..., Any]) -> None:
    build = lambda s: s.group_by_key().aggregate(last=agg.last(Parcel.size), n=agg.sum(Parcel.pieces), name="t")  # noqa: E731
    made = bench(build, value_type=Parcel)
    made.send(("a", Parcel(Size.LARGE, 1)), ("b", Parcel(Size.SMALL, 2**62)))
    made.commit()
    made.restart()
    made.send(("b", Parcel(Size.LARGE, 2**62)), ("a", Parcel(Size.SMALL, 3)))
    assert [repr(row.value.last) for row in made.flush()] == ["<Size.LARGE: 2>", "<Size.SMALL: 1>"]
    made.commit()
    made.restart()
    made.send(("b", Parcel(Size.SMALL, 1)))
    assert [row.value.n for row in made.flush()] == [2**63 + 1]


@pytest.mark.parametrize("emit", ["update", "commit", "close"])
def test_a_record_in_several_windows_that_fails_is_told_once(bench: Callable[..., Any], emit: str) -> None:
    made = bench(
        lambda s: (
            s.group_by_key()
            .windowed_by(streams.HoppingWindow("9s", step="3s"))
            .aggregate(n=agg.count(), total=agg.sum(lambda v: v), name="t")
            .emit(emit)
        ),
        value_type=None,
        policy=streams.dead_letter(),
    )
    rows = made.send(("a", 1, 8_000), ("a", "x", 8_000), ("a", 5, 8_000))
    assert made.counts == {"dead_letter": 1}
    rows += made.flush() + made.send(("a", 0, 30_000))
    last = {row.key.start: (row.value.n, row.value.total) for row in rows if row.key.start < 9_000}
    assert last == {0: (2, 6), 3_000: (2, 6), 6_000: (2, 6)}


async def test_a_record_that_one_aggregate_does_not_take_is_tried_again(bench: Callable[..., Any]) -> None:
    made = bench(
        lambda s: s.group_by_key().aggregate(n=agg.count(), total=agg.sum(lambda v: v), name="t"),
        value_type=None,
        policy=streams.retry(2, backoff="1ms", then=streams.skip()),
    )
    batch = made.batch([("a", 1), ("a", "x"), ("a", 5)])
    assert await made.wait(lambda: made.operator.process(batch)) == []
    assert [(row.value.n, row.value.total) for row in made.flush()] == [(2, 6)]
    assert made.counts == {"retry": 2, "skip": 1}


def test_the_row_of_results_is_typed(bench: Callable[..., Any]) -> None:
    means = {"n": agg.count(), "mean": agg.mean(Reading.x)}
    made = bench(lambda s: s.map_values(Reading).group_by_key().aggregate(name="by-key", **means))
    row_type = made.node.store.value_type
    assert (row_type.__name__, row_type.__struct_fields__) == ("ByKey", ("n", "mean"))
    assert [field.type for field in msgspec.structs.fields(row_type)] == [int, float | None]
