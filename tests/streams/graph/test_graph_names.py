"""Names are a contract with what is on disk: they come from what a step is, not from how many there are before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams import App, Record, TumblingWindow, agg


class Sale(Record):
    shop: str
    amount: int


def shop(change: Callable[[Any], Any]) -> App:
    """An app with most that has a name of its own, with `change` put in at the beginning of each of its pipelines."""
    app = App("shop")
    sales = app.topic("sales", key_type=str, value_type=Sale)
    prices = app.topic("prices", key_type=str, value_type=int).table()
    by_shop = change(sales.stream()).group_by(Sale.shop)
    by_shop.count()
    by_shop.windowed_by(TumblingWindow("1h")).aggregate(total=agg.sum(Sale.amount)).emit("close").to_stream().to("out")
    change(sales.stream()).select_key(lambda sale: sale.shop).join(prices, lambda sale, price: price).to("priced")
    change(sales.stream()).map(lambda key, sale: (sale.shop, sale)).repartition(name="again").to("copies")
    return app


def kept(app: App) -> tuple[set[str], dict[str, str], list[str]]:
    """Topics, stores with their changelogs, and tasks: all that is on a disk somewhere."""
    plan = app.plan()
    stores = {store.name: store.changelog for store in plan.stores.values()}
    return set(plan.topics), stores, [sub.id for sub in plan.subtopologies]


CHANGES: dict[str, Callable[[Any], Any]] = {
    "a filter": lambda stream: stream.filter(lambda sale: True),
    "a filter on columns": lambda stream: stream.filter(Sale.amount > 0),
    "two steps": lambda stream: stream.peek(print).filter_not(Sale.amount < 0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_step_renames_nothing(change: Callable[[Any], Any]) -> None:
    assert kept(shop(change)) == kept(shop(lambda stream: stream))


def test_another_pipeline_renames_nothing() -> None:
    app = shop(lambda stream: stream)
    before = kept(app)
    app.topic("more").stream().group_by_key().count()
    topics, stores, tasks = kept(app)
    assert before[0] <= topics and before[1].items() <= stores.items() and set(before[2]) <= set(tasks)
