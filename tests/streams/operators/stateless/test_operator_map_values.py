"""map_values: a new value under the same key; both forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import streams

ROWS = [("a", 1), (None, 2), ("b", None)]


class Flight(streams.Record):
    carrier: str
    delay: int | None = None


def text(value: Any) -> str:
    return str(value)


@pytest.mark.parametrize(
    ("build", "values"),
    [
        (lambda s: s.map_values(lambda value: [value]), [[1], [2], [None]]),
        (lambda s: s.map_values(lambda key, value: f"{key}{value}"), ["a1", "None2", "bNone"]),
        (lambda s: s.map_values(lambda value, ctx: ctx.offset), [0, 1, 2]),
        (lambda s: s.map_values(lambda key, value, ctx: (ctx.topic, ctx.partition)), [("numbers", 0)] * 3),
        (lambda s: s.map_values(text), ["1", "2", "None"]),
        (lambda s: s.map_values(lambda value: None), [None, None, None]),
        (lambda s: s.map_values(bool), [True, True, False]),
    ],
)
def test_each_value_is_what_the_function_gives(check: Callable[..., None], build: Any, values: list[Any]) -> None:
    check(build, ROWS, [(key, value) for (key, _), value in zip(ROWS, values, strict=True)])


def test_the_rest_of_the_record_stays(check: Callable[..., None]) -> None:
    rows = [("a", 1, 30, [("h", b"1")]), ("b", 2, 10)]
    check(lambda s: s.map_values(lambda value: -value), rows, [("a", -1, 30, (("h", b"1"),), 0), ("b", -2, 10, (), 1)])


def test_a_record_that_fails_is_left_out_with_its_key(check: Callable[..., None]) -> None:
    rows = [("a", 0), ("b", 2), ("c", 0), ("d", 4)]
    check(
        lambda s: s.map_values(lambda value: 8 // value),
        rows,
        [("b", 4, 1, (), 1), ("d", 2, 3, (), 3)],
        policy=streams.skip(),
        counts={"skip": 2},
    )


def test_an_expression(check: Callable[..., None]) -> None:
    rows = [("a", Flight("AA", 2)), ("b", Flight("UA")), ("c", None), ("d", Flight("DL", 2**62))]
    check(
        lambda s: s.map_values(Flight.delay * 4),
        rows,
        [("a", 8), ("b", None), ("c", None), ("d", 2**64)],
        value_type=Flight,
    )


def test_an_expression_that_divides_by_zero_asks_the_policy(check: Callable[..., None]) -> None:
    rows = [("a", Flight("AA", 2)), ("b", Flight("UA", 0))]
    check(
        lambda s: s.map_values(8 / Flight.delay),
        rows,
        [("a", 4.0)],
        value_type=Flight,
        policy=streams.skip(),
        counts={"skip": 1},
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delays=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9), max_size=8))
def test_an_expression_gives_what_the_same_lambda_gives(bench: Callable[..., Any], delays: list[int | None]) -> None:
    def read(flight: Flight) -> Any:
        return None if flight.delay is None else -flight.delay * 3 + (flight.delay // 7)

    rows = [("k", Flight("AA", delay)) for delay in delays]
    by_column = bench(lambda s: s.map_values(-Flight.delay * 3 + Flight.delay // 7), value_type=Flight)
    by_row = bench(lambda s: s.map_values(read), value_type=Flight)
    assert by_column.send(*rows) == by_row.send(*rows)


def test_a_step_behind_reads_columns_of_the_new_values(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.map_values(lambda v: Flight("AA", v), value_type=Flight))
    batch = made.operator.process(made.batch([("a", 1), ("b", 2)]))
    assert batch.columns["delay"].tolist() == [1, 2]
