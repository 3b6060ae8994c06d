"""table.group_by(...).aggregate, reduce, count: the aggregates of groups, through the topic that leads to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import streams
from streams.testing import Driver


class Order(streams.Record):
    customer: str | None
    amount: int


def shop(build: Callable[[Any], Any]) -> streams.App:
    app = streams.App("shop")
    orders = app.topic("orders", key_type=str, value_type=Order).table(name="orders")
    groups = orders.group_by(by_customer, name="by-customer")
    build(groups).to_stream().to("out")
    return app


def by_customer(key: str, order: Order) -> tuple[str | None, int]:
    return order.customer, order.amount


def sums(groups: Any) -> Any:
    return groups.aggregate(0, lambda total, amount: total + amount, lambda total, amount: total - amount, name="sums")


ROWS = [
    ("1", Order("ada", 5), 10),
    ("2", Order("bob", 7), 8),
    ("1", Order("ada", 6), 7),
    ("2", Order("ada", 1), 9),
    ("1", None, 12),
    ("3", Order(None, 1), 13),
    ("2", Order("cyd", 1), 11),
]


def test_sums() -> None:
    with Driver(shop(sums)) as driver:
        driver.pipe("orders", ROWS)
        assert [record[:3] for record in driver.read("out")] == [
            *[("ada", 5, 10), ("bob", 7, 8), ("ada", 6, 10), ("bob", 0, 9), ("ada", 7, 10), ("ada", 1, 12)],
            *[("ada", 0, 12), ("cyd", 1, 11)],
        ]
        assert dict(driver.table("sums").items()) == {"ada": 0, "bob": 0, "cyd": 1}


def test_count_and_reduce() -> None:
    with Driver(shop(lambda groups: groups.count())) as driver:
        driver.pipe("orders", ROWS)
        assert dict(driver.table("by-customer-count").items()) == {"ada": 0, "bob": 0, "cyd": 1}

    def reduced(groups: Any) -> Any:
        return groups.reduce(lambda all_, one: all_ + one, lambda all_, one: None if all_ == one else all_ - one)

    with Driver(shop(reduced)) as driver:
        driver.pipe("orders", ROWS)
        found = [record[:3] for record in driver.read("out")]
        assert found == [
            *[("ada", 5, 10), ("bob", 7, 8), ("ada", 6, 10), ("bob", None, 9), ("ada", 7, 10), ("ada", 1, 12)],
            *[("ada", None, 12), ("cyd", 1, 11)],
        ]


def test_a_group_that_was_deleted_begins_anew() -> None:
    def listed(groups: Any) -> Any:
        def add(names: list[int], amount: int) -> list[int]:
            names.append(amount)
            return names

        def remove(key: str, names: list[int], amount: int) -> list[int] | None:
            names.remove(amount)
            return names or None

        return groups.aggregate(list, add, remove, value_type=list[int], name="lists")

    with Driver(shop(listed)) as driver:
        rows = [("1", Order("ada", 5), 9), ("1", None, 3), ("2", Order("ada", 6), 2), ("3", Order("ada", 4), 1)]
        driver.pipe("orders", rows)
        assert [record[:3] for record in driver.read("out")] == [
            *[("ada", [5], 9), ("ada", None, 9), ("ada", [6], 2), ("ada", [6, 4], 2)],
        ]


def test_at_commits_the_latest_of_each_group_leaves() -> None:
    with Driver(shop(sums), emit="commit") as driver:
        driver.pipe("orders", ROWS)
        assert [record[:3] for record in driver.read("out")] == [("ada", 0, 12), ("bob", 0, 9), ("cyd", 1, 11)]


def test_a_table_of_groups_is_grouped_again() -> None:
    def twice(groups: Any) -> Any:
        return (
            sums(groups)
            .group_by(lambda key, total: ("all", total), key_type=str, value_type=int)
            .reduce(lambda all_, one: all_ + one, lambda all_, one: all_ - one, name="all")
        )

    for emit in ("update", "commit"):
        with Driver(shop(twice), emit=emit) as driver:  # type: ignore[arg-type]
            driver.pipe("orders", ROWS[:4])
            assert driver.table("all").get("all") == 7
            driver.pipe("orders", ROWS[4:])
            assert driver.table("all").get("all") == 1


def test_headers_go_along() -> None:
    with Driver(shop(sums)) as driver:
        driver.pipe("orders", key="1", value=Order("ada", 1), headers=[("trace", b"x")])
        assert driver.read("out")[0].headers == (("trace", b"x"),)


ROW = st.tuples(
    st.sampled_from("abcd"), st.none() | st.tuples(st.sampled_from(["x", "y", "z", None]), st.integers(0, 9))
)


@settings(max_examples=30, deadline=None)
@given(st.lists(ROW, max_size=30), st.integers(1, 4), st.sampled_from(["update", "commit"]), st.integers(0, 30))
def test_aggregates_are_those_of_the_rows_that_are_there(
    rows: list[Any], partitions: int, emit: Any, crash_at: int
) -> None:
    """Whatever changes, over several partitions, through a crash: the aggregate of a group is that of its rows."""
    app = streams.App("shop")
    orders = app.topic("orders", key_type=str, value_type=Order).table(name="orders")
    big = orders.filter(lambda order: order.amount > 2).map_values(lambda order: order, value_type=Order)
    sums(big.group_by(by_customer)).to_stream().to("sums")
    big.group_by(by_customer, name="again").count(name="counts")
    now: dict[str, Order] = {}
    with Driver(app, partitions=partitions, emit=emit) as driver:
        for place, (key, value) in enumerate(rows):
            if place == crash_at:
                driver.crash()
                driver.restart()
            order = None if value is None else Order(*value)
            driver.pipe("orders", key=key, value=order, timestamp=place)
            now.pop(key, None)
            if order is not None and order.amount > 2:
                now[key] = order
        wanted = {customer: [o.amount for o in now.values() if o.customer == customer] for customer in "xyz"}
        assert {key: total for key, total in driver.table("sums").items() if total} == {
            customer: sum(amounts) for customer, amounts in wanted.items() if amounts
        }
        assert {key: count for key, count in driver.table("counts").items() if count} == {
            customer: len(amounts) for customer, amounts in wanted.items() if amounts
        }
