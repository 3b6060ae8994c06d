"""The app under chaos: repartitions, joins of streams and by foreign key, windows that close, an agent with a table.

What must come of its input does not depend on how many workers there were, nor on what happened to them
(`chaos_expected`). What a worker tells of itself, and where it lets itself be held, is `chaos_hooks`.
"""

from __future__ import annotations

from typing import Any

import streams
from streams import agg
from tests.cluster import chaos_hooks

PARTITIONS = 4
SHOP_PARTITIONS = 3

WINDOW_MS = 2_000
JOIN_MS = 5_000
GRACE_MS = 20 * 60_000
"""More than any task can be ahead of another within one part of the input, so that nothing is late."""


class Order(streams.Record):
    order: str
    product: str
    amount: int


class Payment(streams.Record):
    order: str
    amount: int


class Item(streams.Record):
    shop: str
    version: int


app = streams.App("chaos")


def topic(name: str, value_type: Any, partitions: int = PARTITIONS) -> Any:
    return app.topic(name, key_type=str, value_type=value_type, partitions=partitions, retention="forever")


orders = topic("orders", Order)
payments = topic("payments", Payment)
items = topic("items", Item)
shops = topic("shops", int, SHOP_PARTITIONS)

# Without state, and with a table whose every change is told: each partition comes out as it goes in.
chaos_hooks.watched(orders.stream()).filter(lambda order: order.amount > 50).map_values(
    lambda order: order.amount, value_type=int
).to(topic("large", int))
spent = (
    orders.stream().group_by_key().aggregate(0, lambda total, order: total + order.amount, name="spent", value_type=int)
)
spent.emit("update").to_stream().to(topic("spent-changes", int))

# Two repartitions and a join of what comes behind them; orders that nobody pays leave alone.
by_order = orders.stream().select_key(lambda order: order.order, key_type=str)
paid_by_order = payments.stream().select_key(lambda payment: payment.order, key_type=str)
by_order.left_join(
    paid_by_order,
    lambda order, payment: [order.amount, payment.amount if payment else 0],
    within=streams.JoinWindow(JOIN_MS / 1000, grace=GRACE_MS / 1000),
    value_type=list[int],
    name="settled",
).to(topic("settled", list[int]))

# Windows: one table tells when they close, another how far they are at each commit.
by_product = orders.stream().group_by(lambda order: order.product, key_type=str, name="by-product")
window = streams.TumblingWindow(WINDOW_MS / 1000, grace=GRACE_MS / 1000)
sales = by_product.windowed_by(window).aggregate(count=agg.count(), total=agg.sum(Order.amount), name="sales")
sales.emit("close").to_stream().map(
    lambda window, row: (window.key, [window.start, row.count, row.total]), key_type=str, value_type=list[int]
).to(topic("sales-closed", list[int]))
visits = by_product.windowed_by(window).count(name="visits")
visits.emit("commit").to_stream().map(
    lambda window, count: (window.key, [window.start, count]), key_type=str, value_type=list[int]
).to(topic("visits-so-far", list[int]))

# Tables by foreign key; both sides change all the while.
placed = items.table(name="items").left_join(
    shops.table(name="shops"),
    lambda item, rating: [item.version, -1 if rating is None else rating],
    foreign_key=lambda item: item.shop,
    value_type=list[int],
    name="placed",
)
placed.to_stream().to(topic("places", list[int]))

# An agent that numbers what it sees, by its table.
seen = app.Table("seen", key_type=str, value_type=int, default=int, partitions=PARTITIONS)


@app.agent(orders, sink=[topic("numbers", int)], group_by=Order.product)
async def number(stream: streams.Stream[Order]) -> Any:
    async for order in stream:
        seen[order.product] += 1
        yield seen[order.product]
