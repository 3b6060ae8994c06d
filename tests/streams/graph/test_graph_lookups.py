"""Which stores answer for a table, and who is asked for old values."""

from __future__ import annotations

from typing import Any

import streams
from streams import TumblingWindow
from streams.graph.definitions import StoreDef
from streams.graph.lookups import looking_into
from streams.graph.nodes import TableNode
from streams.graph.old_values import request_old


def tables() -> Any:
    app = streams.App("shop")
    topic = app.topic("orders", key_type=str, value_type=int)
    return topic.table(), app.topic("items", key_type=str, value_type=int).table(name="items")


def test_a_table_without_a_store_is_answered_by_those_below() -> None:
    orders, items = tables()
    extra = StoreDef(name="extra", changelog="extra")

    class Joined(TableNode):
        @property
        def stores(self) -> tuple[StoreDef, ...]:
            return (extra, orders.store)

    filtered = TableNode(name="filtered", parents=(orders.node,))
    joined = Joined(name="joined", parents=(filtered, items.node))
    assert looking_into(joined) == (extra, orders.store, items.store)
    kept = TableNode(name="kept", parents=(filtered,), store=extra)
    assert looking_into(kept) == (extra,)


def test_old_values_that_are_not_needed_are_had_from_tables_that_are_kept_anyway() -> None:
    orders, items = tables()
    assert not request_old(TableNode(name="a", parents=(orders.node,)), needed=False)
    assert not orders.node.sends_old
    assert request_old(TableNode(name="b", parents=(items.node,)), needed=False)
    looking_into(orders.node)
    assert request_old(TableNode(name="c", parents=(orders.node,)), needed=False)


def test_old_values_that_are_needed_make_a_table_kept() -> None:
    orders, _ = tables()
    assert request_old(TableNode(name="a", parents=(orders.node,)))
    assert orders.node.sends_old and orders.node.materialized


def test_an_aggregation_is_always_kept() -> None:
    app = streams.App("shop")
    counts = app.topic("orders", key_type=str, value_type=int).stream().group_by_key().windowed_by(TumblingWindow(1))
    table = counts.count()
    assert request_old(TableNode(name="a", parents=(table.node,)), needed=False)
    assert looking_into(TableNode(name="b", parents=(table.node,))) == (table.store,)
