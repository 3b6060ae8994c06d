"""Tables of a pipeline: names and types of their steps, and what is refused when the app is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.dsl.table import Table
from streams.errors import TopologyError
from streams.serde.changes import ChangeSerde


class Order(streams.Record):
    customer: str
    amount: int


def app() -> streams.App:
    return streams.App("shop")


def orders(made: streams.App, **options: Any) -> Table:
    return made.topic("orders", key_type=str, value_type=Order).table(**options)


def versioned(made: streams.App) -> Table:
    table = orders(made)
    assert table.store is not None
    table.store.history_ms = 1000
    return table


def by_customer(key: str, order: Order) -> tuple[str, int]:
    return order.customer, order.amount


def total(sum_: int, amount: int) -> int:
    return sum_ + amount


def without(sum_: int, amount: int) -> int:
    return sum_ - amount


def windowed(made: streams.App, window: Any = None) -> Table:
    grouped = made.topic("orders", key_type=str, value_type=Order).stream().group_by_key()
    return grouped.windowed_by(window or streams.TumblingWindow("10s", grace="5s")).count()


def test_types_go_along() -> None:
    made = orders(app())
    assert (made.filter(lambda value: True).value_type, made.filter(lambda value: True).key_type) == (Order, str)
    assert made.map_values(Order.amount).value_type is int
    assert made.map_values(lambda value: 1, value_type=int).to_stream().value_type is int
    assert made.suppress(until="5s").value_type is Order
    amounts = made.group_by(by_customer)
    assert amounts.count().value_type is int
    assert amounts.reduce(total, without).value_type is int
    table = amounts.aggregate(0, total, without)
    assert (table.value_type, table.key_type, table.to_stream().key_type) == (int, str, str)
    assert made.to_stream(Order.customer).key_type is str


def test_types_of_windowed_tables() -> None:
    counts = windowed(app())
    for table in (counts, counts.filter(lambda value: value > 1), counts.suppress(until="close")):
        assert (table.key_type, table.value_type) == (streams.Windowed, int)
    kept = counts.filter(lambda value: value > 1, store="many").store
    assert kept is not None and (kept.key_type, kept.window_size_ms, kept.retention_ms) == (str, 10_000, 15_000)


def test_names_come_from_the_table_the_step_and_the_function() -> None:
    made = orders(app())
    names = {
        made.filter(by_customer): "orders-filter-by_customer",
        made.filter_not(lambda value: True): "orders-filter_not",
        made.map_values(Order.amount): "orders-map_values-amount",
        made.suppress("5s"): "orders-suppress",
        made.group_by(by_customer).count(): "orders-by-by_customer-count",
        made.group_by(by_customer, name="sums").reduce(total, without): "sums-reduce-total",
        made.filter(by_customer, name="mine"): "mine",
        made.to_stream().to_table(): "orders-to_table",
    }
    assert {table.name: name for table, name in names.items()} == {name: name for name in names.values()}


def test_a_table_without_a_store_has_none() -> None:
    made = orders(app())
    assert made.filter(lambda value: True).store is None
    assert made.suppress(until="5s").store is None
    kept = made.map_values(lambda value: 1, store="ones", value_type=int).store
    assert kept is not None and (kept.name, kept.changelog, kept.source_topic) == ("ones", "shop-ones-changelog", None)


def test_the_topic_of_a_grouped_table_carries_changes() -> None:
    made = app()
    orders(made).group_by(by_customer).count()
    topic = made.builder.graph.topics["shop-orders-by-by_customer-repartition"]
    assert topic.internal and isinstance(topic.value_type, ChangeSerde)


def test_to_table_goes_through_a_topic_if_the_key_changed() -> None:
    made = app()
    stream = made.topic("orders", key_type=str, value_type=Order).stream()
    assert stream.to_table().node.parents == (stream.node,)
    by = stream.select_key(Order.customer).to_table(name="customers", store="kept")
    assert by.node.parents[0].name == "shop-customers-repartition-source"
    assert by.store is not None and (by.store.name, by.name) == ("kept", "kept")


def test_a_table_and_an_aggregation_of_one_stream_share_its_repartition() -> None:
    made = app()
    stream = made.topic("orders", key_type=str, value_type=Order).stream().select_key(Order.customer)
    counts = stream.group_by_key().count()
    assert stream.to_table().node.parents == counts.node.parents


def test_a_table_is_kept_for_good_if_it_is_named_or_looked_into() -> None:
    made = app()
    plain, named = orders(made), made.topic("others", key_type=str, value_type=Order).table(name="named")
    assert not plain.filter(lambda value: True).node.sends_old
    assert named.filter(lambda value: True).node.sends_old
    made.topic("orders", key_type=str, value_type=Order).stream().join(plain, lambda left, right: left)
    assert plain.filter(lambda value: True).node.sends_old


REFUSED: list[tuple[Callable[[streams.App], Any], str]] = [
    (lambda made: orders(made).suppress(until="close"), "has no windows that could close"),
    (lambda made: windowed(made, streams.UnlimitedWindow()).suppress(until="close"), "have no end"),
    (lambda made: orders(made).suppress(until="5s", max_records=-1), "less than nothing"),
    (lambda made: orders(made).suppress(until="5s", when_full="stop"), "needs max_records= or max_bytes="),
    (lambda made: orders(made).suppress(until="5s", max_records=1, when_full="drop"), '"emit" or "stop", not \'drop\''),
    (lambda made: windowed(made).suppress(until="close", max_records=1, when_full="emit"), "can only stop the app"),
    (lambda made: versioned(made).suppress(until="5s"), "keeps versions"),
    (lambda made: orders(made).group_by(Order.customer), "a table is grouped by a function"),
    (lambda made: orders(made).group_by(by_customer).count().emit("close"), "no windows that could close"),
    (lambda made: orders(made).filter(lambda value: True).emit("update"), "is no aggregation"),
    (lambda made: orders(made).filter(lambda value: True, store="orders"), "two stores are called 'orders'"),
    (lambda made: orders(made).filter(lambda value: True, store="no good"), "store name 'no good'"),
    (lambda made: orders(made).group_by(by_customer).reduce(total, lambda: 1), "takes 0 arguments"),
    (lambda made: [orders(made).suppress(until="5s") for _ in range(2)], "two stores are called"),
]


@pytest.mark.parametrize(("build", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused_at_the_users_line(build: Callable[[streams.App], Any], message: str) -> None:
    with pytest.raises(TopologyError, match=f"(?s){message}") as caught:
        build(app())
    assert "test_dsl_table.py:" in str(caught.value) or "no good" in message


def test_an_agent_on_a_table() -> None:
    made = app()
    with pytest.raises(TopologyError, match=r"test_dsl_table\.py"):

        @made.agent(orders(made))  # type: ignore[arg-type]
        async def watch(stream: Any) -> None: ...
