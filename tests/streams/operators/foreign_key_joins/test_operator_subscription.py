"""join by foreign key, the right side: subscriptions are kept, and answered with the row as it stands."""

from __future__ import annotations

from streams.testing import Driver
from tests.streams.operators.foreign_key_joins.orders_and_people import Order, app_with, rows


def test_the_later_time_of_the_two() -> None:
    with Driver(app_with()) as driver:
        driver.pipe("people", key="ann", value="Ann", timestamp=5)
        driver.pipe("orders", [("o1", Order("ann", 1), 3), ("o2", Order("ann", 2), 9)])
        assert rows(driver) == [("o1", "1:Ann", 5), ("o2", "2:Ann", 9)]


def test_a_deletion_has_the_time_of_the_row_that_it_leaves() -> None:
    """Kafka Streams' `SubscriptionJoinProcessorSupplier` looks at the row for every answer."""
    with Driver(app_with()) as driver:
        driver.pipe("people", key="ann", value="Ann", timestamp=50)
        driver.pipe("orders", [("o1", Order("ann", 1), 3), ("o1", None, 4)])
        assert rows(driver) == [("o1", "1:Ann", 50), ("o1", None, 50)]


def test_subscriptions_outlive_the_app() -> None:
    with Driver(app_with()) as driver:
        driver.pipe("orders", [("o1", Order("ann", 1), 3), ("o2", Order("ann", 2), 4), ("o2", Order("bob", 2), 5)])
        for _ in range(2):
            driver.crash()
            driver.restart()
        driver.pipe("people", key="ann", value="Ann", timestamp=6)
        assert rows(driver) == [("o1", "1:Ann", 6)]


def test_those_that_refer_to_nothing_are_answered_in_a_left_join() -> None:
    with Driver(app_with("left_join")) as driver:
        driver.pipe("orders", [("o1", Order(None, 1), 3), ("o2", Order("bob", 2), 4), ("o1", None, 5)])
        assert rows(driver) == [("o1", "1:None", 3), ("o2", "2:None", 4), ("o1", None, 5)]
