"""Functions, and the expressions that say the same; None where there is none, or it isn't surely the same."""

from __future__ import annotations

from typing import Any

import pytest

from streams import Record
from streams.cli.expression_hints import hint


class Flight(Record):
    carrier: str
    origin: str
    delay: float
    tailnum: str | None = None


def late(key: str, flight: Flight) -> Any:
    return flight.delay > 15 and flight.carrier != "AA"


def with_more(flight: Flight) -> Any:
    print(flight)
    return flight.delay > 15


CASES: list[tuple[Any, str | None]] = [
    (lambda f: f.delay > 15, "Flight.delay > 15"),
    (lambda k, f: f.carrier, "Flight.carrier"),
    (lambda f: (f.delay + 1) * 2, "(Flight.delay + 1) * 2"),
    (lambda f: -f.delay, "-Flight.delay"),
    (lambda f: abs(f.delay - 1) < 3, "abs(Flight.delay - 1) < 3"),
    (lambda f: f.carrier in ("AA", "UA"), "Flight.carrier.isin(['AA', 'UA'])"),
    (lambda f: f.tailnum is None, "Flight.tailnum.is_null()"),
    (lambda f: f.tailnum is not None and not f.delay > 3, "(~Flight.tailnum.is_null()) & (~(Flight.delay > 3))"),
    (lambda f: f.carrier.lower().startswith("a"), "Flight.carrier.lower().startswith('a')"),
    (late, "(Flight.delay > 15) & (Flight.carrier != 'AA')"),
    (lambda f: f.tailnum == "N1", None),  # None has an answer in Python
    (lambda f: f.delay and f.delay > 60, None),  # gives the delay itself where that is 0
    (lambda f: f.delay > limit(), None),
    (lambda f: f.gate, None),
    (with_more, None),
    (len, None),
]


def limit() -> int:
    return 3


@pytest.mark.parametrize(("function", "expected"), CASES, ids=range(len(CASES)))
def test_hints(function: Any, expected: str | None) -> None:
    assert hint(function, Flight) == expected


FLIGHTS = [Flight("AA", "JFK", 20.0), Flight("UA", "EWR", -1.0, "N1"), Flight("DL", "LGA", 15.5)]


@pytest.mark.parametrize(("function", "expected"), [case for case in CASES if case[1]], ids=str)
def test_what_is_shown_gives_the_same(function: Any, expected: str) -> None:
    expression = eval(expected)
    both = function.__code__.co_argcount == 2
    assert [expression.evaluate_row(f) for f in FLIGHTS] == [function("k", f) if both else function(f) for f in FLIGHTS]


def test_two_alike_in_one_line_cannot_be_told_apart() -> None:
    both = [lambda f: f.delay > 1, lambda f: f.delay > 2]
    assert hint(both[0], Flight) is None


def test_values_without_fields_have_no_expressions() -> None:
    assert hint(CASES[0][0], None) is None
