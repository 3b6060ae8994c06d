"""Joiners of streams with tables as expressions over both sides: the same as the function that says the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streams
from streams.errors import TopologyError
from streams.expressions.sides import SidedExpression
from streams.graph.explain import explain
from streams.testing.driver import Driver


class Order(streams.Record):
    pieces: int | None
    product: str


class Price(streams.Record):
    cents: int | None
    rebate: float = 0.0


def cents(order: Order, price: Price | None) -> int | None:
    return None if price is None or price.cents is None or order.pieces is None else order.pieces * price.cents


def dear(order: Order, price: Price | None) -> bool | None:
    return None if price is None or price.cents is None else price.cents > 100


JOINERS = [
    (Order.pieces * Price.cents, cents, int),
    (Price.cents > 100, dear, bool),
    (Order.pieces, lambda order, price: order.pieces, int),
    (
        streams.when(Price.rebate.is_null(), 0.0, Price.rebate + 1),
        lambda order, price: 0.0 if price is None else price.rebate + 1,
        float,
    ),
    # More than 64 bits: rows.
    (Order.pieces * 2**62, lambda order, price: None if order.pieces is None else order.pieces * 2**62, int),
]

ORDERS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", None]),
        st.one_of(st.none(), st.builds(Order, st.one_of(st.none(), st.integers(-9, 9)), st.sampled_from(["a", "b"]))),
        st.integers(0, 30),
    ),
    max_size=8,
)
PRICES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.one_of(st.none(), st.builds(Price, st.one_of(st.none(), st.integers(0, 300)), st.floats(0, 9))),
        st.integers(0, 30),
    ),
    max_size=6,
)


def results(joiner: Any, kind: str, step: str, value_type: Any, prices: Any, orders: Any) -> Any:
    app = streams.App("shop")
    topic = app.topic("prices", key_type=str, value_type=Price)
    stream = app.topic("orders", key_type=str, value_type=Order).stream()
    options: dict[str, Any] = {}
    if kind == "global":
        table: Any = topic.global_table()
        options = {"key": Order.product}
    else:
        table = topic.table(history=None if kind == "plain" else "1h")
        options = {"grace": "5ms"} if kind == "grace" else {}
    getattr(stream, step)(table, joiner, value_type=value_type, **options).to("out")
    with Driver(app) as driver:
        driver.pipe("prices", prices)
        driver.pipe("orders", orders)
        return [record[:3] for record in driver.read("out")], driver.dropped


@settings(max_examples=40, deadline=None)
@given(
    joiner=st.sampled_from(JOINERS),
    kind=st.sampled_from(["plain", "versioned", "grace", "global"]),
    step=st.sampled_from(["join", "left_join"]),
    prices=PRICES,
    orders=ORDERS,
)
def test_an_expression_joins_as_the_function_does(joiner: Any, kind: str, step: str, prices: Any, orders: Any) -> None:
    expression, function, made = joiner
    found, dropped = results(expression, kind, step, made, prices, orders)
    wanted, left_out = results(function, kind, step, made, prices, orders)
    assert found == wanted
    assert sorted(dropped.values()) == sorted(left_out.values())


def test_it_runs_on_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_row(self: Any, left: Any, right: Any) -> Any:
        raise AssertionError("asked row by row")

    monkeypatch.setattr(SidedExpression, "evaluate_row", by_row)
    rows = [("a", Order(2, "x"), 0), ("b", Order(None, "x"), 1), ("c", Order(3, "x"), 2)]
    found, _ = results(Order.pieces * Price.cents, "plain", "left_join", int, [("a", Price(7)), ("b", Price(1))], rows)
    assert [value for _, value, _ in found] == [14, None, None]


def test_a_joiner_that_raises_goes_to_the_error_policy() -> None:
    app = streams.App("shop", on_error=streams.skip())
    prices = app.topic("prices", key_type=str, value_type=Price).table()
    orders = app.topic("orders", key_type=str, value_type=Order).stream()
    orders.join(prices, Order.pieces // Price.cents).to("out")
    with Driver(app) as driver:
        driver.pipe("prices", [("a", Price(0)), ("b", Price(2))])
        driver.pipe("orders", [("a", Order(4, "x")), ("b", Order(4, "x"))])
        assert [record[:2] for record in driver.read("out")] == [("b", 2)]


def test_explain_says_so() -> None:
    app = streams.App("shop")
    prices = app.topic("prices", key_type=str, value_type=Price).table()
    orders = app.topic("orders", key_type=str, value_type=Order).stream()
    orders.join(prices, Order.pieces * Price.cents, name="paid")
    orders.join(prices, cents, name="by-function")
    said = {one.step: one.form for steps in explain(app.plan()).values() for one in steps}
    assert (said["paid"], said["by-function"]) == ("columns", "rows")


def test_errors_name_the_line() -> None:
    app = streams.App("shop")
    orders = app.topic("orders", key_type=str, value_type=Order).stream()
    others = app.topic("others", key_type=str, value_type=Order).table()
    prices = app.topic("prices", key_type=str, value_type=Price).table()
    with pytest.raises(
        TopologyError, match=r"join at .*joined_rows.py:\d+: of which side is Order.pieces\? both sides"
    ):
        orders.join(others, Order.pieces + 1)
    with pytest.raises(TopologyError, match=r"of which side is col\('cents'\)\? neither side"):
        orders.left_join(prices, streams.col("cents") + 1)
    with pytest.raises(TopologyError, match=r"takes a function, \(left, right\), not the expression Order.pieces"):
        orders.join(orders, Order.pieces, within=streams.JoinWindow("1s"))
