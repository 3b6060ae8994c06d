"""Wrong topologies: each is an error when the app is built or planned, which names the user's line and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams import agg
from streams.errors import ConfigError, TopologyError


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


class Greet:
    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    def process(self, record: Any) -> None: ...


# -- parts of another app


OTHERS: dict[str, Build] = {
    "to": lambda s: s.orders.to(s.other),
    "merge": lambda s: s.orders.merge(s.other.stream()).to("out"),
    "app.stream": lambda s: s.app.stream(s.topic, s.other).to("out"),
    "cogroup": lambda s: (
        s.orders.group_by_key().cogroup(max).cogroup(s.other.stream().group_by_key(), max).aggregate(0, name="t")
    ),
    "join of a stream": lambda s: s.orders.join(s.other.stream(), max, within=streams.JoinWindow("1m")),
    "join of a table": lambda s: s.orders.join(s.other.table(), max),
    "join of a global table": lambda s: s.orders.join(s.other.global_table(), max, key=Order.customer),
    "join of tables": lambda s: s.topic.table().join(s.other.table(), max),
    "join by foreign key": lambda s: s.topic.table().join(s.other.table(), max, foreign_key=Order.customer),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_belongs_to_another_app(what: str) -> None:
    shop = Shop()
    with pytest.raises(TopologyError, match=r"others.* app .*'(shop|other)'.*; declare its topic in") as failed:
        OTHERS[what](shop)
        shop.app.plan()
    assert_names_the_line(failed.value, OTHERS[what])


def test_an_agent_on_a_topic_of_another_app() -> None:
    shop = Shop()

    @shop.app.agent(shop.other)
    async def look(stream: Any) -> None: ...

    with pytest.raises(TopologyError, match=r"'others-source' .* is of another app than 'shop'"):
        shop.app.plan()


# -- circles


def bounce(topic: Any) -> None:
    topic.stream().map_values(lambda value: value).to(topic)


def bounce_by_another(topic: Any) -> None:
    topic.stream().select_key(lambda value: value, key_type=str).to("between")
    topic._app.stream("between").peek(print).to(topic)


def bounce_merged(topic: Any) -> None:
    topic.stream().merge(topic._app.topic("more").stream().filter(bool)).to(topic)


@pytest.mark.parametrize("build", [bounce, bounce_by_another, bounce_merged])
def test_a_circle_without_a_way_out(build: Callable[[Any], None]) -> None:
    app = streams.App("shop")
    build(app.topic("orders", key_type=str, value_type=str))
    with pytest.raises(TopologyError, match=r"to at .*would go round for ever; write to another topic, or"):
        app.plan()


def test_a_circle_with_a_way_out() -> None:
    app = streams.App("countdown")
    numbers = app.topic("numbers", key_type=str, value_type=int)
    numbers.stream().filter(lambda n: n > 0).map_values(lambda n: n - 1).to(numbers)
    with streams.testing.Driver(app) as driver:
        driver.pipe("numbers", key="a", value=2)
        assert [record.value for record in driver.read("numbers")] == [2, 1, 0]


# -- names and arguments


@pytest.mark.parametrize("wrong", [lambda s: Order.amonut > 3, lambda s: s.orders.filter(Order.amonut == 3)])
def test_a_field_that_is_not_there(wrong: Build) -> None:
    with pytest.raises(AttributeError, match=r"has customer, amount\. Did you mean 'amount'\?") as failed:
        wrong(Shop())
    assert isinstance(failed.value, TopologyError) and not hasattr(Order, "amonut")
    assert_names_the_line(failed.value, wrong)


NO_STEP: dict[str, tuple[Build, str]] = {
    "Kafka Streams' name": (lambda s: s.orders.mapValues(len), "a Stream has no such step. It is called 'map_values'"),
    "an old name": (lambda s: s.orders.foreach(print), "It is called 'for_each' here"),
    "a typo": (lambda s: s.orders.fliter(len), "a Stream has no such step. Did you mean 'filter'?"),
    "of a stream": (lambda s: s.topic.table().to("out"), r"A stream has: write \.to_stream\(\)\.to\(\.\.\.\)"),
    "groups": (lambda s: s.orders.group_by_key().flatMap(max), r"write \.count\(\)\.to_stream\(\)\.flat_map\("),
    "cogroups": (lambda s: s.orders.group_by_key().cogroup(max).to("x"), r"write \.aggregate\(initial\)\.to_stream"),
}


@pytest.mark.parametrize("what", NO_STEP)
def test_a_step_that_is_not_there(what: str) -> None:
    build, said = NO_STEP[what]
    with pytest.raises(AttributeError, match=said) as failed:
        build(Shop())
    assert_names_the_line(failed.value, build)


SAID: dict[str, tuple[Build, str]] = {
    "outer join without within": (
        lambda s: s.orders.outer_join(s.prices.stream(), max),
        "this is without within=; write within=streams.JoinWindow",
    ),
    "outer join with a table": (
        lambda s: s.orders.outer_join(s.prices.table(), max),
        "is for two streams, and the other side is a Table: .* use left_join",
    ),
    "windows of windows": (
        lambda s: s.orders.group_by_key().windowed_by(streams.TumblingWindow(1)).windowed_by(streams.TumblingWindow(2)),
        r"the groups have windows already, TumblingWindow\('1s'\)",
    ),
    "no partitions": (lambda s: s.app.topic("more", partitions=0), "partitions=0; a topic has one or more"),
    "a repartition into none": (
        lambda s: s.orders.repartition(partitions=-1),
        "partitions=-1; a topic has one or more",
    ),
    "a function of a record alone": (
        lambda s: s.orders.process(lambda record: record),
        r"<lambda> \(.*\) takes arguments, .* A function of each record takes \(record, ctx\)",
    ),
    "a processor with arguments": (
        lambda s: s.orders.process(Greet),
        r"Greet \(.*\) takes arguments, .*: lambda: P\(\.\.\.\)",
    ),
    "grace on a window without one": (
        lambda s: streams.UnlimitedWindow(grace="1m"),  # type: ignore[arg-type]
        "it never closes, so there is no grace; leave it out",
    ),
    "a filter by text": (lambda s: s.orders.filter("amount > 3"), "give a function or an expression, not 'amount > 3'"),
}


@pytest.mark.parametrize("what", SAID)
def test_what_is_said(what: str) -> None:
    build, said = SAID[what]
    with pytest.raises((TopologyError, ConfigError), match=said) as failed:
        build(Shop())
    assert_names_the_line(failed.value, build)
