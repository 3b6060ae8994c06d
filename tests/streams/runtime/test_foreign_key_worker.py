"""A join by foreign key on a worker with a broker: other partition counts on each side; a worker that comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import streams
from streams.errors import PartitionCountError
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker


class Order(streams.Record):
    customer: str
    n: int


def app_at(folder: Path, people: int = 3) -> streams.App:
    app = streams.App("shop", data_dir=str(folder))
    orders = app.topic("orders", key_type=str, value_type=Order, partitions=4).table()
    names = app.topic("people", key_type=str, value_type=str, partitions=people).table()
    joined = orders.left_join(
        names, lambda order, name: f"{order.n}:{name}", foreign_key=Order.customer, name="named", value_type=str
    )
    joined.to_stream().to(app.topic("out", key_type=str, value_type=str, partitions=2))
    return app


async def run(app: streams.App, **topics: dict[str, Any]) -> dict[str, str]:
    """The rows of the joined table when all is processed, and nothing is left of those that were deleted."""
    async with app.client() as client:
        for topic, records in topics.items():
            await client.send_many(topic, list(records.items()))
    await Worker(app, Silent(), until_end=True).run()
    async with app.client() as client:
        rows = {record.key: record.value async for record in client.read("out")}
        assert {key: value async for key, value in client.table("named").items()} == {
            key: value for key, value in rows.items() if value is not None
        }
    return {key: value for key, value in rows.items() if value is not None}


async def test_rows_over_several_runs(tmp_path: Path) -> None:
    orders = {f"o{n}": Order(f"p{n % 7}", n) for n in range(40)}
    people = {f"p{n}": f"name {n}" for n in range(5)}
    found = await run(app_at(tmp_path), orders=orders, people=people)

    def expected() -> dict[str, str]:
        return {key: f"{order.n}:{people.get(order.customer)}" for key, order in orders.items()}

    assert found == expected()
    people |= {"p1": "another", "p6": "new"}
    orders |= {"o3": Order("p6", 100)}
    assert await run(app_at(tmp_path), orders={"o3": orders["o3"]}, people={"p1": "another", "p6": "new"}) == expected()
    del people["p0"], orders["o5"]
    assert await run(app_at(tmp_path), people={"p0": None}, orders={"o5": None}) == expected()


async def test_a_topic_that_has_grown_is_named(tmp_path: Path) -> None:
    await run(app_at(tmp_path), orders={"o1": Order("p1", 1)})
    app = app_at(tmp_path)
    async with app.client() as client:
        await client.admin.add_partitions("people", 5)
    with pytest.raises(PartitionCountError, match="topic 'people' has 5 partitions and had 3"):
        await Worker(app_at(tmp_path, people=5), Silent(), until_end=True).run()
