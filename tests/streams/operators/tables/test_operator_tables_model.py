"""Tables made of tables, however the input is cut, and through crashes: always what comes out record by record."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import streams
from streams import SessionWindow, TumblingWindow
from streams.runtime.steps import COMMIT_STEPS
from streams.testing import Driver

OUT = ("big", "totals", "slow", "few", "final", "sessions")


class Order(streams.Record):
    customer: str | None
    amount: int


def add(total: int | None, amount: int) -> int:
    return (total or 0) + amount


def take(total: int, amount: int) -> int:
    return total - amount


def shop(kept: bool) -> streams.App:
    """Every step on tables, with stores of their own and without."""
    app = streams.App("shop")
    topic = app.topic("orders", key_type=str, value_type=Order)
    orders = topic.table(name="orders" if kept else None)
    store = (lambda name: name) if kept else (lambda name: None)
    big = orders.filter(Order.amount > 3, store=store("big-store"))
    big.to_stream().to("big")
    amounts = big.map_values(lambda order: order.amount % 7, value_type=int, store=store("amounts"))
    groups = orders.group_by(lambda key, order: (order.customer, order.amount), key_type=str, value_type=int)
    totals = groups.aggregate(0, add, take, value_type=int, name="totals-store")
    totals.to_stream().to("totals")
    amounts.suppress(until="10ms", name="slowly").to_stream().to("slow")
    amounts.suppress(until="20ms", max_records=1, name="fewer").to_stream().to("few")
    windows = topic.stream().group_by(Order.customer, name="customers")
    counts = windows.windowed_by(TumblingWindow("10ms", grace="5ms")).count(name="counts")
    counts.filter(lambda count: count < 3).suppress(until="close", name="final-counts").to_stream().to("final")
    sessions = windows.windowed_by(SessionWindow("5ms", grace="5ms")).count(name="session-counts")
    sessions.suppress(until="close", name="final-sessions").to_stream().to("sessions")
    return app


ORDERS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.none() | st.builds(Order, st.sampled_from(["x", "y", None]), st.integers(0, 9)),
        st.integers(0, 60),
    ),
    min_size=1,
    max_size=15,
)


def run(app: streams.App, rows: list[Any], cuts: set[int], crash: tuple[int, str] | None) -> dict[str, Any]:
    with Driver(app) as driver:
        pieces = sorted({0, *(cut for cut in cuts if cut < len(rows)), len(rows)})
        for place, (start, stop) in enumerate(pairwise(pieces)):
            if crash is not None and crash[0] == place:
                driver.crash(at=crash[1])
                driver.pipe("orders", rows[start:stop])
                if driver.is_down:
                    driver.restart()
            else:
                driver.pipe("orders", rows[start:stop])
        return {topic: [record[:3] for record in driver.read(topic)] for topic in OUT}


@settings(max_examples=25, deadline=None)
@given(
    ORDERS,
    st.sets(st.integers(1, 14)),
    st.none() | st.tuples(st.integers(0, 4), st.sampled_from(COMMIT_STEPS)),
    st.booleans(),
)
def test_cuts_and_crashes_do_not_show(rows: list[Any], cuts: set[int], crash: Any, kept: bool) -> None:
    whole = run(shop(kept), rows, set(range(25)), None)
    assert run(shop(kept), rows, cuts, crash) == whole
