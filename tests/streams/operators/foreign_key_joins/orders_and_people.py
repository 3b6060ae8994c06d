"""An app that joins orders with the people they refer to, and what comes out of it."""

from __future__ import annotations

from typing import Any

import streams
from streams.testing import Driver


class Order(streams.Record):
    customer: str | None
    n: int = 0


def app_with(kind: str = "join", joiner: Any = lambda order, name: f"{order.n}:{name}", **options: Any) -> streams.App:
    app = streams.App("shop")
    orders = app.topic("orders", key_type=str, value_type=Order).table()
    people = app.topic("people", key_type=str, value_type=str).table()
    given = {"foreign_key": Order.customer, "name": "named", "value_type": str} | options
    getattr(orders, kind)(people, joiner, **given).to_stream().to("out")
    return app


def rows(driver: Driver) -> list[tuple[Any, ...]]:
    return [(record.key, record.value, record.timestamp) for record in driver.read("out")]
