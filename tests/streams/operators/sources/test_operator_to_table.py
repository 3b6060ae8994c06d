"""stream.to_table: the latest value of each key of a stream."""

from __future__ import annotations

from typing import Any

import pytest

import streams
from streams import policies
from streams.testing import Driver


class Order(streams.Record):
    customer: str | None
    amount: int


def shop(**options: Any) -> streams.App:
    app = streams.App("shop")
    stream = app.topic("orders", key_type=str, value_type=Order).stream()
    amounts = stream.select_key(Order.customer).map_values(lambda o: o and o.amount, value_type=int)
    table = amounts.to_table(name="amounts", **options)
    table.filter(lambda amount: amount > 2).to_stream().to("out")
    return app


ROWS = [("1", Order("ada", 5), 9), ("2", Order("bob", 1), 8), ("3", Order("ada", 2), 7), ("4", Order(None, 2), 7)]


@pytest.mark.parametrize("partitions", [1, 3])
def test_rows_are_by_the_new_key(partitions: int) -> None:
    with Driver(shop(store="kept"), partitions=partitions) as driver:
        driver.pipe("orders", ROWS)
        assert dict(driver.table("kept").items()) == {"ada": 2, "bob": 1}
        assert [record[:3] for record in driver.read("out")] == [("ada", 5, 9), ("ada", None, 7)]
        driver.crash()
        driver.restart()
        assert dict(driver.table("kept").items()) == {"ada": 2, "bob": 1}


def test_without_a_store_of_its_own_nobody_knows_what_was_there() -> None:
    with Driver(shop()) as driver:
        driver.pipe("orders", ROWS)
        assert [record[:2] for record in driver.read("out")] == [("ada", 5), ("bob", None), ("ada", None)]


def test_null_keys_are_left_out_and_null_values_delete() -> None:
    app = streams.App("shop")
    app.topic("orders", key_type=str, value_type=int).stream().to_table(name="latest").to_stream().to("out")
    with Driver(app) as driver:
        driver.pipe("orders", [("a", 1, 1), (None, 2, 2), ("a", None, 3), ("b", 3, 4)])
        assert [record[:3] for record in driver.read("out")] == [("a", 1, 1), ("a", None, 3), ("b", 3, 4)]
        assert dict(driver.table("latest").items()) == {"b": 3}
        assert driver.dropped == {("latest", "null_key"): 1}


def test_a_value_that_the_table_does_not_take_goes_to_the_policy() -> None:
    app = streams.App("shop", on_error=policies.skip())
    numbers = app.topic("numbers", key_type=str, value_type=int).stream()
    numbers.map_values(lambda n: "no" if n == 2 else n, value_type=int).to_table(name="latest")
    with Driver(app) as driver:
        driver.pipe("numbers", [("a", 1), ("b", 1), ("a", 2), ("c", 3)])
        assert dict(driver.table("latest").items()) == {"b": 1, "c": 3}
        assert driver.dropped == {("latest", "skip"): 1}
