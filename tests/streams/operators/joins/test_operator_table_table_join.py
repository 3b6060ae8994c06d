"""One side of a join of two tables: joiners, errors, old values. What is told in the end is shown in
test_table_joins_model.py and tests/golden/joins.
"""

from __future__ import annotations

from typing import Any

import pytest

import streams
from streams import policies
from streams.graph.old_values import request_old
from streams.testing import Driver


def two_tables(**options: Any) -> tuple[streams.App, Any, Any]:
    app = streams.App("shop", **options)
    left, right = (app.topic(name, key_type=str, value_type=int).table() for name in ("left", "right"))
    return app, left, right


def told(app: streams.App, *changes: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    with Driver(app) as driver:
        for topic, *record in changes:
            driver.pipe(topic, [tuple(record)])
        return [(record.key, record.value, record.timestamp) for record in driver.read("out")]


@pytest.mark.parametrize(
    ("joiner", "value"),
    [
        (lambda left, right: left + right, 3),
        (lambda key, left, right: f"{key}{left}{right}", "a12"),
        (lambda left, right, ctx: [ctx.timestamp, ctx.topic, left, right], [7, "right", 1, 2]),
        (max, 2),
    ],
)
def test_joiners(joiner: Any, value: Any) -> None:
    app, left, right = two_tables()
    left.join(right, joiner, name="joined").to_stream().to(app.topic("out", key_type=str))
    assert told(app, ("left", "a", 1, 5), ("right", "a", 2, 7)) == [("a", value, 7)]


def test_a_joiner_that_raises_leaves_no_row() -> None:
    app, left, right = two_tables()
    joined = left.join(right, lambda a, b: a // b, name="joined", value_type=int, on_error=policies.skip())
    joined.outer_join(right, lambda a, b: f"{a},{b}", name="again").to_stream().to("out")
    found = told(app, ("left", "a", 6, 1), ("right", "a", 2, 2), ("right", "a", 0, 3), ("right", "a", 3, 4))
    latest = {time: value for _, value, time in found}
    assert latest == {2: "3,2", 3: "None,0", 4: "2,3"}


def test_records_without_a_key_are_no_rows() -> None:
    app, left, right = two_tables()
    left.outer_join(right, lambda a, b: 1, name="joined").to_stream().to("out")
    assert told(app, ("left", None, 6, 1), ("right", None, 2, 2)) == []


@pytest.mark.parametrize("kind", ["join", "left_join", "outer_join"])
def test_old_values_are_rows_as_the_other_side_stands(kind: str) -> None:
    """A table grouped from the join takes out what it put in."""
    app, left, right = two_tables()
    joined = getattr(left, kind)(right, lambda a, b: (a or 0) + 10 * (b or 0), name="joined", value_type=int)
    total = joined.group_by(lambda key, value: ("all", value), name="all", key_type=str, value_type=int)
    total.aggregate(0, lambda s, v: s + v, lambda s, v: s - v, name="total", value_type=int).to_stream().to("out")
    changes = [("left", "a", 1), ("right", "a", 2), ("right", "b", 3), ("left", "b", 4), ("left", "a", 5)]
    changes += [("right", "a", None), ("left", "b", None), ("left", "a", None), ("right", "b", None)]
    with Driver(app) as driver:
        rows: dict[str, dict[str, int | None]] = {"left": {}, "right": {}}
        for at, (topic, key, value) in enumerate(changes):
            driver.pipe(topic, key=key, value=value, timestamp=at)
            rows[topic][key] = value
            expected = 0
            for name in "ab":
                a, b = rows["left"].get(name), rows["right"].get(name)
                there = {"join": a and b, "left_join": a, "outer_join": a or b}[kind]
                expected += (a or 0) + 10 * (b or 0) if there else 0
            assert (driver.table("total").get("all") or 0) == expected, at


@pytest.mark.parametrize(
    ("kind", "asked"), [("join", (False, False)), ("left_join", (True, False)), ("outer_join", (True, True))]
)
def test_who_is_asked_for_old_values_as_in_kafka_streams(kind: str, asked: tuple[bool, bool]) -> None:
    """A filter that is not asked deletes rows that never matched: `KTableImpl.doJoin` says who is."""
    _, left, right = two_tables()
    getattr(left, kind)(right, max, name="joined")
    assert (left.node.sends_old, right.node.sends_old) == (True, True)
    assert (left.node.asked_old, right.node.asked_old) == asked


def test_whoever_asks_the_join_asks_both_tables() -> None:
    _, left, right = two_tables()
    joined = left.join(right, max, name="joined", store="rows")
    request_old(joined.node)
    assert left.node.asked_old and right.node.asked_old


def test_a_filter_that_is_not_asked_still_deletes_what_never_matched() -> None:
    app, left, right = two_tables()
    positive = left.filter(lambda value: value > 0)
    positive.join(right, max, name="joined")
    positive.to_stream().to("out")
    assert told(app, ("left", "a", -1, 5), ("left", "a", 2, 6)) == [("a", None, 5), ("a", 2, 6)]


class Order(streams.Record):
    pieces: int
    price: str = "tea"


class Price(streams.Record):
    euros: int


@pytest.mark.parametrize("foreign", [False, True])
def test_a_joiner_that_is_an_expression_over_both(foreign: bool) -> None:
    app = streams.App("shop")
    left = app.topic("left", key_type=str, value_type=Order).table()
    right = app.topic("right", key_type=str, value_type=Price).table()
    given: dict[str, Any] = {"foreign_key": Order.price} if foreign else {}
    joined = left.left_join(right, Order.pieces * Price.euros, name="cost", **given)
    joined.to_stream().to("out")
    found = told(app, ("left", "tea", Order(3), 1), ("right", "tea", Price(5), 2), ("right", "tea", None, 3))
    assert found == [("tea", 15, 2), ("tea", None, 3)]
    assert joined.value_type is int or joined.value_type is None


@pytest.mark.parametrize("emit", ["update", "commit"])
def test_rows_are_taken_back_as_they_were_told_also_of_aggregations_that_tell_at_commits(emit: Any) -> None:
    """Both sides change in one commit; each looks into the other, which has not told its change yet."""
    app = streams.App("sums")
    left, right = (
        app.topic(name, key_type=str, value_type=int)
        .stream()
        .group_by_key()
        .aggregate(0, lambda total, one: total + one, value_type=int, name=f"{name}-sum")
        for name in ("left", "right")
    )
    product = left.map_values(lambda total: total, value_type=int).join(right, lambda a, b: a * b, value_type=int)
    product.filter(lambda value: value % 2 == 1, name="odd").to_stream().to("odd")
    grouped = product.group_by(lambda key, value: ("all", value), key_type=str, value_type=int)
    grouped.aggregate(0, lambda a, b: a + b, lambda a, b: a - b, value_type=int, name="whole")
    with streams.testing.Driver(app, emit=emit) as driver:
        for one in (1, 2, 3, 4):
            driver.pipe_many({"left": [("k", one, one)], "right": [("k", one + 1, one)]})
            total = sum(range(1, one + 1)) * sum(range(2, one + 2))
            assert driver.table("whole").get("all") == total
        assert driver.read("odd")[-1].value is None
