"""Writing a pipeline: the steps that stand in the graph, their types and names; wrong calls are errors there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.errors import TopologyError
from streams.graph.nodes import (
    AggregateNode,
    FilterNode,
    MergeNode,
    RepartitionNode,
    SelectKeyNode,
    SinkNode,
    SourceNode,
    TableJoinNode,
)
from streams.testing import Driver
from streams.windows import Windowed


class Order(streams.Record):
    customer: str
    amount: float | None = None


class Plane(streams.Record):
    seats: int


def as_text(value: Order) -> str:
    return value.customer


def joined(order: Order, plane: Plane) -> Plane:
    return plane


def stream(**topic: Any) -> Any:
    return streams.App("shop").topic("orders", **({"key_type": str, "value_type": Order} | topic)).stream()


def nodes(made: Any) -> list[Any]:
    found: list[Any] = made._builder.graph.nodes
    return found


# -- types


@pytest.mark.parametrize(
    ("build", "key_type", "value_type", "key_changed"),
    [
        (lambda s: s, str, Order, False),
        (lambda s: s.filter(Order.amount > 3), str, Order, False),
        (lambda s: s.filter_not(lambda v: v), str, Order, False),
        (lambda s: s.peek(print), str, Order, False),
        (lambda s: s.map_values(lambda v: v), str, None, False),
        (lambda s: s.map_values(as_text), str, str, False),
        (lambda s: s.map_values(lambda v: v, value_type=int), str, int, False),
        (lambda s: s.map_values(Order.customer), str, str, False),
        (lambda s: s.map_values(Order.amount), str, float | None, False),
        (lambda s: s.map_values(str), str, str, False),
        (lambda s: s.map(lambda v: (v, v)), None, None, True),
        (lambda s: s.map(lambda v: (v, v), key_type=int, value_type=Plane), int, Plane, True),
        (lambda s: s.flat_map(lambda v: []), None, None, True),
        (lambda s: s.flat_map(lambda v: [], key_type=int, value_type=Plane), int, Plane, True),
        (lambda s: s.flat_map_values(lambda v: []), str, None, False),
        (lambda s: s.flat_map_values(lambda v: [], value_type=int), str, int, False),
        (lambda s: s.select_key(as_text), str, Order, True),
        (lambda s: s.select_key(Order.customer), str, Order, True),
        (lambda s: s.select_key(lambda v: 1, key_type=int), int, Order, True),
        (lambda s: s.select_key(as_text).filter(print).map_values(as_text), str, str, True),
        (lambda s: s.repartition(), str, Order, False),
        (lambda s: s.select_key(as_text).repartition(), str, Order, False),
        (lambda s: s.select_key(as_text).by_key(), str, Order, False),
        (lambda s: s.repartition(key_type=bytes, value_type=bytes), bytes, bytes, False),
        (lambda s: s.merge(s.filter(print)), str, Order, False),
        (lambda s: s.merge(s.map_values(as_text)), str, None, False),
        (lambda s: s.merge(s.select_key(as_text)), str, Order, True),
        (lambda s: s.group_by_key().count().to_stream(), str, int, False),
        (lambda s: s.group_by(as_text).count().to_stream(), str, int, False),
        (lambda s: s.group_by_key().windowed_by(streams.TumblingWindow(1)).count().to_stream(), Windowed, int, False),
        (lambda s: s.group_by_key().reduce(max).to_stream(), str, Order, False),
        (lambda s: s.group_by_key().reduce(max, value_type=Plane).to_stream(), str, Plane, False),
        (lambda s: s.group_by_key().aggregate(0, lambda a, v: a, value_type=int).to_stream(), str, int, False),
    ],
)
def test_types_flow_along(build: Callable[[Any], Any], key_type: Any, value_type: Any, key_changed: bool) -> None:
    made = build(stream())
    assert (made.key_type, made.value_type, made.key_changed) == (key_type, value_type, key_changed)


def test_a_join_has_the_type_of_its_joiner() -> None:
    app = streams.App("shop")
    orders = app.topic("orders", key_type=str, value_type=Order).stream()
    table = app.topic("planes", key_type=str, value_type=Plane).table()
    assert orders.join(table, joined).value_type is Plane
    assert orders.left_join(table, lambda a, b: 1, value_type=int).value_type is int
    assert orders.join(table, lambda key, a, b: 1, name="other").value_type is None


# -- where a repartition topic stands


@pytest.mark.parametrize(
    ("build", "topics"),
    [
        (lambda s: s.group_by_key().count(), []),
        (lambda s: s.map_values(as_text).group_by_key().count(), []),
        (lambda s: s.select_key(as_text).group_by_key().count(), ["shop-orders-by-as_text-repartition"]),
        (lambda s: s.select_key(as_text).group_by_key(name="x").count(), ["shop-x-repartition"]),
        (lambda s: s.map(lambda v: (v, v)).group_by_key().count(), ["shop-orders-repartition"]),
        (lambda s: s.group_by(as_text).count(), ["shop-orders-by-as_text-repartition"]),
        (lambda s: s.group_by(Order.customer).count(), ["shop-orders-by-customer-repartition"]),
        (lambda s: s.group_by(lambda v: v).count(), ["shop-orders-by-repartition"]),
        (lambda s: s.group_by(as_text, name="x").count(), ["shop-x-repartition"]),
        (lambda s: s.repartition(), ["shop-orders-repartition"]),
        (lambda s: s.repartition(name="x", partitions=3), ["shop-x-repartition"]),
        (lambda s: s.by_key(), []),
        (lambda s: s.select_key(as_text).to("out"), []),
        (lambda s: s.select_key(as_text).by_key(), ["shop-orders-by-as_text-repartition"]),
    ],
)
def test_a_repartition_stands_where_records_must_lie_by_their_new_key(build: Any, topics: list[str]) -> None:
    made = stream()
    build(made)
    assert [node.topic.name for node in nodes(made) if isinstance(node, RepartitionNode)] == topics


def test_one_repartition_serves_several_aggregations() -> None:
    made = stream()
    grouped = made.group_by(as_text)
    grouped.count()
    grouped.reduce(max)
    grouped.windowed_by(streams.TumblingWindow(1)).count(name="windowed")
    assert sum(isinstance(node, RepartitionNode) for node in nodes(made)) == 1
    assert sum(isinstance(node, AggregateNode) for node in nodes(made)) == 3


def test_a_stream_under_new_keys_has_one_repartition_for_all_that_need_it() -> None:
    keyed = stream().select_key(as_text)
    first, second = keyed.by_key(), keyed.by_key()
    assert first.node is second.node
    keyed.group_by_key().count(name="counts")
    keyed.group_by_key(name="other").count(name="others")
    topics = [name for name, topic in keyed._builder.graph.topics.items() if topic.internal]
    assert topics == ["shop-orders-by-as_text-repartition", "shop-other-repartition"]


def test_a_repartition_hands_on_types_and_says_how_many() -> None:
    made = stream().select_key(as_text).repartition(name="x", partitions=3)
    assert isinstance(made.node, SourceNode)
    topic = made.node.topic
    assert (topic.key_type, topic.value_type, topic.partitions, topic.internal) == (str, Order, 3, True)


# -- names


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda s: s.filter(as_text), "orders-filter-as_text"),
        (lambda s: s.filter(lambda v: v), "orders-filter"),
        (lambda s: s.filter(Order.amount > 3), "orders-filter-amount"),
        (lambda s: s.filter((Order.amount > 3) & (Order.customer == "x")), "orders-filter-amount-customer"),
        (lambda s: s.map_values(as_text, name="mine"), "mine"),
        (lambda s: s.to("out"), "orders-to-out"),
        (lambda s: s.to(lambda v: "out"), "orders-to"),
        (lambda s: s.group_by_key().count(), "orders-count"),
        (lambda s: s.group_by_key().reduce(max), "orders-reduce-max"),
        (lambda s: s.group_by(as_text).count(), "orders-by-as_text-count"),
        (lambda s: s.group_by(as_text, name="x").count(), "x-count"),
        (lambda s: s.group_by_key().windowed_by(streams.TumblingWindow(1)).count(), "orders-count"),
    ],
)
def test_names_come_from_topic_operator_and_function(build: Any, name: str) -> None:
    made = stream()
    build(made)
    assert nodes(made)[-1].name == name


def test_a_step_has_the_users_line_and_policy() -> None:
    made = stream().filter(as_text, on_error=streams.skip())
    assert made.node.where.startswith(__file__) and made.node.on_error == streams.skip()


# -- sinks


def test_to_a_declared_topic_by_object_or_name() -> None:
    app = streams.App("shop")
    orders = app.topic("orders", key_type=str, value_type=Order).stream()
    out = app.topic("out", key_type=bytes, value_type=int)
    orders.to(out)
    orders.to("out", name="second")
    assert [node.topic for node in nodes(orders) if isinstance(node, SinkNode)] == [out.definition] * 2


def test_to_a_name_declares_it_with_the_streams_types() -> None:
    made = stream()
    made.map_values(as_text).to("texts")
    topic = nodes(made)[-1].topic
    assert (topic.name, topic.key_type, topic.value_type, topic.internal) == ("texts", str, str, False)


def test_a_topic_that_a_step_writes_is_read_by_its_name_with_those_types() -> None:
    app = streams.App("shop")
    app.topic("orders", key_type=str, value_type=Order).stream().map_values(as_text).to("texts")
    texts = app.stream("texts")
    assert (texts.key_type, texts.value_type) == (str, str)


def test_for_each_and_to_end_a_stream() -> None:
    assert stream().for_each(print) is None and stream().to("out") is None


# -- several topics


def test_app_stream_takes_topics_and_names() -> None:
    app = streams.App("shop")
    first, second = app.topic("a", key_type=str, value_type=int), app.topic("b", key_type=str, value_type=int)
    assert app.stream(first).node is first.stream().node is app.stream("a").node
    made = app.stream(first, second, "c")
    assert isinstance(made.node, MergeNode)
    assert [parent.topic.name for parent in made.node.parents] == ["a", "b", "c"]
    assert (
        app.stream(
            first,
            second,
        ).value_type
        is int
    )


# -- wrong calls


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "filter without a function": (
        lambda s: s.filter(None),
        r"filter at .*py:\d+: give a function or an expression, not None",
    ),
    "map of three": (lambda s: s.map(lambda a, b, c: 0), "map: the function at .* takes 3 arguments"),
    "map by an expression": (lambda s: s.map(Order.amount), "map at .*: give a function"),
    "join with a topic": (
        lambda s: s.join("orders", joined),
        r"join at .*: give a stream .* or a table .*; .* is a str",
    ),
    "join with one side": (lambda s: s.join(s.group_by_key().count(), lambda a: a), "join: the function at .* takes 1"),
    "a bad name": (lambda s: s.filter(print, name="a b"), "filter name 'a b': use up to 249"),
    "a bad topic": (lambda s: s.to("a b"), "topic name 'a b'"),
    "a bad repartition": (lambda s: s.repartition(name="a b"), "repartition name 'a b'"),
    "windowed by a number": (lambda s: s.group_by_key().windowed_by(10), r"windowed_by at .*: give TumblingWindow"),
    "aggregate of nothing": (lambda s: s.group_by_key().aggregate(), r"aggregate at .*: give \(initial, function\)"),
    "aggregate of both": (
        lambda s: s.group_by_key().aggregate(0, max, n=streams.agg.count()),
        "give named aggregates or .*, not both",
    ),
    "aggregate of a function by name": (
        lambda s: s.group_by_key().aggregate(n=len),
        r"aggregate at .*: n= is .*; give agg.count\(\)",
    ),
    "retention without windows": (lambda s: s.group_by_key().count(retention="1h"), "retention= at .* is for windows"),
    "ttl with windows": (
        lambda s: s.group_by_key().windowed_by(streams.TumblingWindow(1)).count(ttl="1h"),
        "ttl= at .* is for tables without windows",
    ),
    "emit never": (lambda s: s.group_by_key().count().emit("never"), 'emit at .*: "update", "commit" or "close"'),
    "close without windows": (lambda s: s.group_by_key().count().emit("close"), "has no windows that could close"),
    "reduce of one": (lambda s: s.group_by_key().reduce(lambda a: a), "reduce: the function at .* takes 1"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_call_is_an_error_at_its_line(what: str) -> None:
    build, said = WRONG[what]
    with pytest.raises((TopologyError, streams.errors.ConfigError), match=said):
        build(stream())


def test_emit_on_the_table_of_a_topic() -> None:
    table = streams.App("shop").topic("orders").table()
    with pytest.raises(TopologyError, match="is no aggregation, and hands on every change"):
        table.emit("update")


@pytest.mark.parametrize("when", ["update", "commit", "close"])
def test_emit(when: Any) -> None:
    table = stream().group_by_key().windowed_by(streams.TumblingWindow(1)).count()
    assert table.node.emit is None
    assert table.emit(when) is table and table.node.emit == when


def test_nothing_runs_while_it_is_written() -> None:
    def never(value: Any) -> Any:
        raise AssertionError("it ran")

    made = stream().filter(never).map_values(never).peek(never)
    made.group_by(never).aggregate(never, lambda a, v: never(v), name="t")
    kinds = [type(node) for node in nodes(made)]
    assert FilterNode in kinds and SelectKeyNode in kinds and TableJoinNode not in kinds


def test_a_function_that_groups_has_an_error_policy_too() -> None:
    app = streams.App("shop")
    stream = app.topic("orders", key_type=str, value_type=int).stream()
    stream.group_by(lambda value: value % 2, on_error=streams.skip())
    (asking,) = [node for node in app.builder.graph.nodes if node.kind == "select_key"]
    assert asking.on_error == streams.skip()


def test_through_writes_a_topic_and_goes_on_with_what_is_in_it() -> None:
    app = streams.App("shop")
    orders = app.topic("orders", key_type=str, value_type=int, partitions=2)
    doubled = app.topic("doubled", key_type=str, value_type=int, partitions=3)
    orders.stream().map_values(lambda n: 2 * n).through(doubled).filter(lambda n: n > 2).to("big")
    assert [sub.id for sub in app.plan().subtopologies] == ["orders", "doubled"]
    with Driver(app, partitions="declared") as driver:
        driver.pipe("orders", [("a", 1), ("b", 2)])
        driver.pipe("doubled", key="c", value=7)
        assert sorted(record[:2] for record in driver.read("doubled")) == [("a", 2), ("b", 4), ("c", 7)]
        assert sorted(record[:2] for record in driver.read("big")) == [("b", 4), ("c", 7)]
