"""join by foreign key, the right side: a change goes to all that subscribed to its key."""

from __future__ import annotations

import pytest

import streams
from streams.operators.foreign_key_joins import notify
from streams.testing import Driver
from tests.streams.operators.foreign_key_joins.orders_and_people import Order, app_with, rows


def test_a_change_goes_to_all_that_subscribed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "PIECE_ROWS", 3)
    with Driver(app_with()) as driver:
        driver.pipe("orders", [(f"o{n:02}", Order("ann", n), n) for n in range(10)])
        driver.pipe("orders", key="other", value=Order("bob"), timestamp=1)
        assert rows(driver) == []
        driver.pipe("people", [("ann", "Ann", 20), ("bob", None, 21), ("ann", "Anne", 22)])
        first = [(f"o{n:02}", f"{n}:Ann", 20) for n in range(10)]
        assert rows(driver) == [*first, *((key, value + "e", 22) for key, value, _ in first)]


def test_keys_that_begin_alike_are_not_taken_for_each_other() -> None:
    with Driver(app_with()) as driver:
        driver.pipe("orders", [("1", Order("a"), 1), ("1", Order("a1"), 2), ("11", Order("a"), 3), ("", Order(""), 4)])
        driver.pipe("people", [("a", "A", 5), ("a1", "A1", 6), ("", "nobody", 7)])
        assert rows(driver) == [("11", "0:A", 5), ("1", "0:A1", 6), ("", "0:nobody", 7)]


def test_a_table_of_versions_tells_only_what_is_the_latest() -> None:
    app = streams.App("shop")
    orders = app.topic("orders", key_type=str, value_type=Order).table()
    people = app.topic("people", key_type=str, value_type=str).table(history="1h")
    named = orders.join(people, lambda order, name: name, foreign_key=Order.customer, name="named", value_type=str)
    named.to_stream().to("out")
    with Driver(app) as driver:
        driver.pipe("orders", key="o1", value=Order("ann"), timestamp=1)
        driver.pipe("people", [("ann", "Ann", 20), ("ann", "Annie", 10), ("ann", "Anne", 30)])
        assert rows(driver) == [("o1", "Ann", 20), ("o1", "Anne", 30)]
        assert driver.dropped == {("named-notify", "out_of_order"): 1}
