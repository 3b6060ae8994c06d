"""filter, filter_not: both forms, None, and what an expression that is None does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import streams
from streams.expressions import col

ROWS = [("a", 1), ("b", 2), (None, 3), ("a", 4)]


class Flight(streams.Record):
    carrier: str
    delay: float | None = None
    seats: int | None = None


@pytest.mark.parametrize(
    ("build", "kept"),
    [
        (lambda s: s.filter(lambda value: value > 2), [3, 4]),
        (lambda s: s.filter(lambda key, value: key == "a"), [1, 4]),
        (lambda s: s.filter(lambda value, ctx: ctx.offset % 2), [2, 4]),
        (lambda s: s.filter(lambda key, value, ctx: key is None or ctx.timestamp == 0), [1, 3]),
        (lambda s: s.filter_not(lambda value: value > 2), [1, 2]),
        (lambda s: s.filter_not(lambda key, value: key), [3]),
        (lambda s: s.filter(lambda value: None), []),
        (lambda s: s.filter_not(lambda value: None), [1, 2, 3, 4]),
        (lambda s: s.filter(lambda value: True), [1, 2, 3, 4]),
        (lambda s: s.filter(lambda value: [value] * (value - 1)), [2, 3, 4]),
    ],
)
def test_rows_for_which_the_function_holds(check: Callable[..., None], build: Any, kept: list[int]) -> None:
    check(build, ROWS, [row for row in ROWS if row[1] in kept])


def test_key_value_timestamp_headers_and_offset_stay(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.filter(lambda value: value > 1))
    rows = [("a", 1, 30, [("h", b"1")]), ("b", 2, 10, [("h", b"2"), ("i", None)]), ("c", 3, 20)]
    assert made.send(*rows) == [("b", 2, 10, (("h", b"2"), ("i", None)), 1), ("c", 3, 20, (), 2)]


def test_a_batch_that_stays_whole_is_handed_on_as_it_is(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.filter(lambda value: value))
    batch = made.batch([("a", 1), ("b", 2)])
    assert made.operator.process(batch) is batch


def test_a_null_value_reaches_the_function(check: Callable[..., None]) -> None:
    check(lambda s: s.filter(lambda value: value is None), [("a", None), ("b", 1)], [("a", None)])


FLIGHTS = [
    ("a", Flight("AA", 20.0)),
    ("b", Flight("AA", 10.0)),
    ("c", Flight("UA")),
    ("d", None),
    ("e", Flight("UA", 99.5)),
]


@pytest.mark.parametrize(
    ("build", "kept"),
    [
        (lambda s: s.filter(Flight.delay > 15), "ae"),
        (lambda s: s.filter_not(Flight.delay > 15), "b"),
        (lambda s: s.filter(Flight.delay.is_null()), "cd"),
        (lambda s: s.filter_not(Flight.delay.is_null()), "abe"),
        (lambda s: s.filter((Flight.delay > 15) & (Flight.carrier == "UA")), "e"),
        (lambda s: s.filter(Flight.delay), "abe"),
        (lambda s: s.filter(Flight.carrier), "abce"),
    ],
)
def test_an_expression_that_is_none_drops_the_record_negated_or_not(
    check: Callable[..., None], build: Any, kept: str
) -> None:
    check(build, FLIGHTS, [row for row in FLIGHTS if row[0] in kept], value_type=Flight)


def test_an_expression_over_untyped_values_runs_on_rows(check: Callable[..., None]) -> None:
    rows = [("a", {"delay": 20}), ("b", {"delay": 3}), ("c", {}), ("d", None)]
    check(lambda s: s.filter(col("delay") > 15), rows, rows[:1], value_type=None)
    check(lambda s: s.filter_not(col("delay") > 15), rows, rows[1:2], value_type=None)


VALUES = st.one_of(
    st.none(),
    st.builds(
        Flight,
        st.sampled_from(["AA", "UA", ""]),
        st.none() | st.floats(-100, 100) | st.just(float("nan")),
        st.none() | st.integers(-(2**63), 2**63 - 1),
    ),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(VALUES, max_size=12), negate=st.booleans())
def test_an_expression_keeps_what_the_same_lambda_with_none_rules_keeps(
    bench: Callable[..., Any], values: list[Flight | None], negate: bool
) -> None:
    def holds(value: Flight | None) -> bool | None:
        if value is None or value.delay is None or value.seats is None:
            return None
        return value.delay * 2 > value.seats + 1

    step = "filter_not" if negate else "filter"
    by_column = bench(lambda s: getattr(s, step)(Flight.delay * 2 > Flight.seats + 1), value_type=Flight)
    by_row = bench(lambda s: s.filter(lambda v: holds(v) is (not negate)), value_type=Flight)
    rows = [("k", value) for value in values]
    # NaN is not equal to itself: offsets tell which were kept.
    assert [row.offset for row in by_column.send(*rows)] == [row.offset for row in by_row.send(*rows)]


def test_a_function_that_raises_is_the_policys_business(check: Callable[..., None]) -> None:
    rows = [("a", 1), ("b", 0), ("c", 2)]
    check(
        lambda s: s.filter(lambda value: 2 / value > 1),
        rows,
        rows[:1],
        policy=streams.skip(),
        counts={"skip": 1},
    )
    check(
        lambda s: s.filter_not(lambda value: 2 / value > 1, on_error=streams.skip()),
        rows,
        rows[2:],
        counts={"skip": 1},
    )
