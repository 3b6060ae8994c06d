from __future__ import annotations

import math
import statistics
from datetime import date
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streams
from streams import aggregates as agg
from streams.aggregates import Aggregate
from streams.columns import column_from_values
from streams.errors import ConfigError, EncodeError
from streams.models import Record
from streams.operators.aggregations.slot_states import SlotStates


class Flight(Record):
    carrier: str
    delay: float | None = None
    seats: int | None = None


ALL = [agg.count, agg.sum, agg.mean, agg.min, agg.max, agg.first, agg.last, agg.variance, agg.stddev]


def fold(aggregate: Aggregate, values: list[Any]) -> Any:
    state = aggregate.initialize()
    for value in values:
        state = aggregate.update(state, {"x": value})
    return state


def result(aggregate: Aggregate, values: list[Any]) -> Any:
    return aggregate.finalize(fold(aggregate, values))


@pytest.mark.parametrize(
    ("aggregate", "values", "expected"),
    [
        (agg.count(), [1, None, 2], 3),
        (agg.count("x"), [1, None, 2], 2),
        (agg.sum("x"), [1, None, 2], 3),
        (agg.sum("x"), [1, 2.5], 3.5),
        (agg.sum("x"), [2**62, 2**62, 2**62], 3 * 2**62),
        (agg.sum("x"), [True, True], 2),
        (agg.mean("x"), [1, None, 2], 1.5),
        (agg.min("x"), [3, None, 1, 2], 1),
        (agg.max("x"), ["a", "c", "b"], "c"),
        (agg.min("x"), [math.nan, 2.0, math.nan], 2.0),
        (agg.max("x"), [math.nan, 2.0, math.nan], 2.0),
        (agg.first("x"), [None, "b", "c"], "b"),
        (agg.last("x"), ["a", "b", None], "b"),
        (agg.variance("x"), [1.0, 2.0, None, 4.0], statistics.variance([1, 2, 4])),
        (agg.stddev("x"), [1.0, 2.0, 4.0], statistics.stdev([1, 2, 4])),
    ],
)
def test_results(aggregate: Aggregate, values: list[Any], expected: Any) -> None:
    found = result(aggregate, values)
    assert type(found) is type(expected)
    assert found == pytest.approx(expected) if isinstance(expected, float) else found == expected


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("values", [[], [None], [None, None]])
def test_of_nothing(make: Any, values: list[None]) -> None:
    assert result(make("x"), values) == (0 if make is agg.count else None)


def test_spread_of_one_is_none() -> None:
    assert result(agg.variance("x"), [1.0]) is result(agg.stddev("x"), [1.0]) is None


def test_arguments() -> None:
    flight = Flight("AA", 20.0)
    for argument in (Flight.delay, "delay", lambda value: value.delay):
        assert agg.sum(argument).update(1.0, flight) == 21.0
    assert agg.sum(Flight.delay * 2).update(None, flight) == 40.0
    assert repr(agg.sum(Flight.delay * 2)) == "sum(Flight.delay * 2)"
    assert streams.agg is agg
    with pytest.raises(ConfigError, match=r"sum\(5\): give a field"):
        agg.sum(5)


def test_result_types() -> None:
    assert agg.count().result_type is int
    assert agg.mean(Flight.delay).result_type == float | None
    assert agg.sum(Flight.seats).result_type == int | None
    assert agg.last(Flight.carrier).result_type == str | None
    assert agg.max(Flight.delay * 2).result_type is agg.max("delay").result_type is Any


numbers = st.one_of(st.integers(-3, 3), st.floats(-10, 10), st.none())


@given(st.sampled_from(ALL), st.lists(st.integers(-5, 5) | st.none(), max_size=8), st.integers(0, 8))
def test_two_parts_combine_to_the_whole(make: Any, values: list[int | None], cut: int) -> None:
    aggregate = make("x")
    both = aggregate.combine(fold(aggregate, values[:cut]), fold(aggregate, values[cut:]))
    whole = result(aggregate, values)
    assert aggregate.finalize(both) == (pytest.approx(whole) if isinstance(whole, float) else whole)


@given(st.sampled_from(ALL), st.lists(st.one_of(numbers, st.just(2**70), st.booleans()), max_size=6))
def test_states_are_stored_and_read_back(make: Any, values: list[Any]) -> None:
    aggregate = make("x")
    state = fold(aggregate, values)
    stored = msgspec.msgpack.encode(aggregate.encode(state))
    assert exactly(aggregate.decode(msgspec.msgpack.decode(stored))) == exactly(state)


class Visit(Record):
    tags: list[str]
    span: tuple[int, int]
    on: date
    flight: Flight | None = None


@pytest.mark.parametrize("make", [agg.first, agg.last, agg.max])
@pytest.mark.parametrize("field", ["tags", "span", "on"])
def test_values_of_declared_types_are_stored_too(make: Any, field: str) -> None:
    aggregate = make(getattr(Visit, field))
    state = aggregate.update(aggregate.initialize(), Visit(["a"], (1, 2), date(2013, 1, 1)))
    stored = msgspec.msgpack.encode(aggregate.encode(state))
    assert exactly(aggregate.decode(msgspec.msgpack.decode(stored))) == exactly(state)


def test_a_record_as_state() -> None:
    aggregate = agg.last(Visit.flight)
    stored = msgspec.msgpack.encode(aggregate.encode(Flight("AA")))
    assert aggregate.decode(msgspec.msgpack.decode(stored)) == Flight("AA")


def test_values_of_no_declared_type_are_refused() -> None:
    with pytest.raises(EncodeError, match=r"last\(\) got a Flight, and nothing declares its type"):
        agg.last("x").update(None, {"x": Flight("AA")})


def exactly(state: Any) -> Any:
    if isinstance(state, tuple):
        return tuple(map(exactly, state))
    return type(state), "nan" if isinstance(state, float) and math.isnan(state) else repr(state)


ints = st.one_of(st.integers(-3, 3), st.sampled_from([2**63 - 1, -(2**63), 2**62]))
floats = st.one_of(st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 1e308, 0.1]), st.floats(-10, 10))
kinds = st.sampled_from([ints, floats, st.booleans(), st.one_of(ints, floats), st.integers(-3, 3)])


@st.composite
def batches(draw: st.DrawFn) -> list[list[tuple[int, Any]]]:
    """Batches of (slot, input); each batch has inputs of one kind or mixed ones."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(kinds)
        found.append(draw(st.lists(st.tuples(st.integers(0, 4), st.one_of(kind, kind, st.none())), max_size=8)))
    return found


def check_slots(make: Any, given_batches: list[list[tuple[int, Any]]]) -> None:
    aggregate = make("x")
    expected = [aggregate.initialize()] * 5
    states = SlotStates(aggregate)
    for size, batch in enumerate(given_batches, start=1):
        states.resize(5 if size > 1 else 3)
        states.resize(5)
        slots = np.array([slot for slot, _ in batch], np.intp)
        inputs = column_from_values([value for _, value in batch])
        for slot, value in batch:
            expected[slot] = expected[slot] if value is None else aggregate.fold(expected[slot], value)
        states.update(slots, inputs)
        assert list(map(exactly, states.states(np.arange(5)))) == list(map(exactly, expected))
    assert list(map(exactly, states.results(np.array([4, 0])))) == [
        exactly(aggregate.finalize(expected[slot])) for slot in (4, 0)
    ]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ALL), batches())
def test_slots_hold_what_one_by_one_gives(make: Any, given_batches: list[list[tuple[int, Any]]]) -> None:
    check_slots(make, given_batches)


@pytest.mark.slow
@settings(max_examples=1_500, deadline=None)
@given(st.sampled_from(ALL), batches())
def test_slots_hold_what_one_by_one_gives_in_many(make: Any, given_batches: list[list[tuple[int, Any]]]) -> None:
    check_slots(make, given_batches)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ALL), st.lists(st.one_of(ints, floats, st.none()), max_size=4), ints | floats)
def test_slots_begin_anew_or_with_a_stored_state(make: Any, stored: list[Any], value: Any) -> None:
    aggregate = make("x")
    state = fold(aggregate, stored)
    states = SlotStates(aggregate)
    states.resize(3)
    states.update(np.array([0, 1, 2]), column_from_values([1, 1, 1]))
    states.start(np.array([0, 2]))
    states.load(2, state)
    states.update(np.array([2]), column_from_values([value]))
    one = fold(aggregate, [1])
    assert list(map(exactly, states.states(np.arange(3)))) == [
        exactly(aggregate.initialize()),
        exactly(one),
        exactly(aggregate.fold(state, value)),
    ]


def test_a_fold_that_raises_changes_nothing() -> None:
    states = SlotStates(agg.sum("x"))
    states.resize(2)
    states.update(np.array([0, 1]), column_from_values([1, 2]))
    with pytest.raises(TypeError):
        states.update(np.array([0, 1]), column_from_values([5, "x"]))
    assert states.states(np.array([0, 1])) == [1, 2]


def test_sums_add_in_the_order_of_records() -> None:
    values = [0.1, 1e16, 0.2, -1e16, 0.3] * 50
    expected = 0
    for value in values:
        expected += value  # type: ignore[assignment]
    states = SlotStates(agg.sum("x"))
    states.resize(1)
    for start in range(0, len(values), 7):
        part = values[start : start + 7]
        states.update(np.zeros(len(part), np.intp), column_from_values(part))
    assert states.results(np.array([0])) == [expected]
