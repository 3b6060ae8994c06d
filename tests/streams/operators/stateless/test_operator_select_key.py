"""select_key: a new key, the value stays; both forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams


class Flight(streams.Record):
    carrier: str | None
    number: int = 0


ROWS = [("a", 1, 7, [("h", b"1")]), (None, 2, 5)]


@pytest.mark.parametrize(
    ("build", "keys"),
    [
        (lambda s: s.select_key(lambda value: value), [1, 2]),
        (lambda s: s.select_key(lambda key, value: (key, value)), [("a", 1), (None, 2)]),
        (lambda s: s.select_key(lambda value, ctx: ctx.offset), [0, 1]),
        (lambda s: s.select_key(lambda value: None), [None, None]),
    ],
)
def test_each_key_is_what_the_function_gives(check: Callable[..., None], build: Any, keys: list[Any]) -> None:
    check(build, ROWS, [(keys[0], 1, 7, (("h", b"1"),), 0), (keys[1], 2, 5, (), 1)])


def test_an_expression_gives_what_a_lambda_gives(check: Callable[..., None]) -> None:
    rows = [("x", Flight("AA", 3)), ("y", Flight(None)), (None, Flight("UA", 2))]
    for by in (Flight.carrier, lambda flight: flight.carrier):
        expected = [("AA", rows[0][1]), (None, rows[1][1]), ("UA", rows[2][1])]
        check(lambda s, by=by: s.select_key(by), rows, expected, value_type=Flight)
    numbered = [(4, rows[0][1]), (1, rows[1][1]), (3, rows[2][1])]
    check(lambda s: s.select_key(Flight.number + 1), rows, numbered, value_type=Flight)


def test_columns_are_kept(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.select_key(Flight.carrier), value_type=Flight)
    batch = made.batch([("a", Flight("AA", 3))])
    before = batch.column("number")
    after = made.operator.process(batch)
    assert after.column("number") is before
    assert (after.key_bytes, after.keys) == (None, ["AA"])


def test_a_record_that_fails_is_left_out(check: Callable[..., None]) -> None:
    check(
        lambda s: s.select_key(lambda value: 4 // value),
        [("a", 0), ("b", 2)],
        [(2, 2, 1, (), 1)],
        policy=streams.skip(),
        counts={"skip": 1},
    )
