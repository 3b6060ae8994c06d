"""An agent as a service: orders are billed at prices that another agent is asked for.

streams worker examples.price_service:app --until-end
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import streams

PRICES = {"tea": 3.0, "milk": 1.5, "cake": 4.0}


class Order(streams.Record):
    item: str
    count: int


app = streams.App("price-service")
orders = app.topic("orders", key_type=str, value_type=Order, partitions=4)
asked = app.Table("asked", key_type=str, value_type=int, default=int)
revenue = app.Table("revenue", key_type=str, value_type=float, default=float)


@app.agent()
async def price(stream: streams.Stream[str]) -> AsyncIterator[float]:
    """What is asked for more than a hundred times gets cheaper."""
    async for item in stream:
        asked[item] += 1
        yield PRICES[item] if asked[item] <= 100 else PRICES[item] - 0.5


@app.agent(orders, group_by=Order.item)
async def bill(stream: streams.Stream[Order]) -> None:
    async for order in stream:
        revenue[order.item] += order.count * await price.ask(order.item, key=order.item)


@app.source(orders)
def shop(position: int = 0) -> Iterator[Any]:
    for n in range(position, 600):
        yield streams.Position(n + 1), f"guest-{n % 50}", Order(["tea", "milk", "cake"][n % 3], 1)


@app.report
def takings() -> list[Any]:
    return [{"item": item, "asked": asked[item], "revenue": total} for item, total in sorted(revenue.items())]
