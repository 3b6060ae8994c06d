"""Wrong topologies: each is an error when the app is built or planned, which names the user's line and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams import agg
from streams.errors import TopologyError


class Order(streams.Record):
    customer: str
    amount: int


class Price(streams.Record):
    cents: int


class Sale(Order):
    shop: str


class Shop:
    """An app with a topic of orders and one of prices; `other` is a topic of another app."""

    def __init__(self) -> None:
        self.app = streams.App("shop")
        self.topic = self.app.topic("orders", key_type=str, value_type=Order)
        self.prices = self.app.topic("prices", key_type=str, value_type=Price)
        self.other = streams.App("other").topic("others", key_type=str, value_type=Order)

    @property
    def orders(self) -> Any:
        return self.topic.stream()


Build = Callable[[Shop], Any]

FIELDS: dict[str, Build] = {
    "filter": lambda s: s.orders.filter(Price.cents > 3),
    "filter_not": lambda s: s.orders.filter_not((Order.amount > 3) & (Price.cents > 3)),
    "map_values": lambda s: s.orders.map_values(Price.cents),
    "select_key": lambda s: s.orders.select_key(Price.cents),
    "group_by": lambda s: s.orders.group_by(streams.col("cents")),
    "deduplicate": lambda s: s.orders.deduplicate(Price.cents, within="1m"),
    "branch": lambda s: s.orders.split(name="s").branch(Price.cents > 3, "a"),
    "aggregate": lambda s: s.orders.group_by_key().aggregate(total=agg.sum(Price.cents), name="t"),
    "windowed aggregate": lambda s: (
        s.orders.group_by_key().windowed_by(streams.TumblingWindow("1m")).aggregate(t=agg.sum(Price.cents), name="t")
    ),
    "table filter": lambda s: s.topic.table().filter(Price.cents > 3),
    "table map_values": lambda s: s.topic.table().map_values(Price.cents),
    "foreign key": lambda s: s.topic.table().join(s.prices.table(), max, foreign_key=Price.cents),
    "global table": lambda s: s.orders.join(s.prices.global_table(), max, key=Price.cents),
}


@pytest.mark.parametrize("step", FIELDS)
def test_an_expression_over_fields_that_the_values_lack(step: str) -> None:
    build = FIELDS[step]
    with pytest.raises(TopologyError, match=r"cents.* are of type Order, which has customer, amount\.") as failed:
        build(Shop())
    assert_names_the_line(failed.value, build)


def test_a_field_of_plain_values() -> None:
    texts = Shop().orders.map_values(lambda order: order.customer, value_type=str)
    with pytest.raises(TopologyError, match=r"filter at .*these are of type str, which has no fields\."):
        texts.filter(Order.amount > 3)


@pytest.mark.parametrize("value_type", [Order, Sale, Order | None, dict, Any, None, Order | Price])
def test_fields_that_the_values_have_or_may_have(value_type: Any) -> None:
    orders = streams.App("shop").topic("orders", key_type=str, value_type=value_type).stream()
    orders.filter(Order.amount > 3).map_values(Order.amount)


def test_a_field_of_a_subclass_may_be_there() -> None:
    Shop().orders.filter(Sale.shop == "north")


def assert_names_the_line(error: BaseException, build: Build) -> None:
    first = build.__code__.co_firstlineno
    named = {int(line) for line in re.findall(r"test_error_wrong_topology\.py:(\d+)", str(error))}
    assert named & {first, first + 1}, f"{error} names none of the lines from {first}"
