"""An app as its users write it, under a type checker: to it `Order.amount` is a float, and each step takes that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import streams
from streams import agg

ROOT = Path(__file__).parents[3]


class Order(streams.Record):
    customer: str
    amount: float


class Price(streams.Record):
    cents: int


app = streams.App("typed")
topic = app.topic("orders", key_type=str, value_type=Order)
prices = app.topic("prices", key_type=str, value_type=Price).table()
orders = topic.stream().filter(Order.amount > 3).filter_not(streams.col(Order.amount).is_null())
totals = orders.group_by(Order.customer, name="customers").aggregate(count=agg.count(), total=agg.sum(Order.amount))
amounts = orders.map_values(Order.amount * 2).select_key(lambda amount: str(amount))
once = orders.deduplicate(Order.customer, within="1m")
branches = orders.split(name="sizes").branch(Order.amount > 100, "big").default("small")
paid = orders.join(prices, Order.amount * Price.cents)
large = topic.table().filter(Order.amount > 3)
named = large.join(prices, lambda order, price: order.customer, foreign_key=Order.customer)


@app.agent(topic, group_by=Order.customer)
async def look(stream: streams.Stream[Order]) -> None:
    async for order in stream:
        print(order.customer)


def test_a_type_checker_takes_the_app() -> None:
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", Path(__file__).relative_to(ROOT).as_posix()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
