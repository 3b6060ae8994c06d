"""join, left_join with a versioned table and grace: who waits, in what order they leave, and what they meet."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streams
from streams.errors import TopologyError
from streams.testing.driver import Driver, TopicRecord


def make_app(*, grace: str = "5ms", history: str = "20ms", left: bool = True, **options: Any) -> streams.App:
    app = streams.App("prices")
    prices = app.topic("prices", key_type=str, value_type=int).table(history=history)
    orders = app.topic("orders", key_type=str, value_type=list[Any]).stream()
    out = app.topic("out", key_type=str, value_type=list[Any])

    def priced(order: list[Any], price: int | None, ctx: Any) -> list[Any]:
        return [order, price, ctx.offset, ctx.topic]

    join = orders.left_join if left else orders.join
    join(prices, priced, grace=grace, **options).to(out)
    return app


def values(driver: Driver) -> list[tuple[Any, Any, int]]:
    return [(record.key, record.value[1], record.timestamp) for record in driver.read("out")]


def test_a_record_waits_for_changes_that_come_late() -> None:
    with Driver(make_app()) as driver:
        driver.pipe("prices", key="a", value=1, timestamp=10)
        driver.pipe("orders", key="a", value=["first"], timestamp=12)
        assert values(driver) == []
        driver.pipe("prices", key="a", value=2, timestamp=11)
        driver.pipe("prices", key="a", value=3, timestamp=13)
        driver.pipe("orders", key="b", value=["time"], timestamp=16)
        assert values(driver) == []
        driver.pipe("orders", key="b", value=["time"], timestamp=17)
        assert values(driver) == [("a", 2, 12)]


def test_they_leave_by_time_then_key_then_as_they_came() -> None:
    with Driver(make_app()) as driver:
        rows = [("b", 5), ("a", 7), ("a", 5), ("b", 4), ("a", 5), ("c", 5)]
        driver.pipe("orders", [(key, [n], time) for n, (key, time) in enumerate(rows)])
        driver.pipe("orders", key="z", value=["time"], timestamp=100)
        found = [(record.key, record.value[0][0], record.value[2], record.timestamp) for record in driver.read("out")]
        assert found == [("b", 3, 3, 4), ("a", 2, 2, 5), ("a", 4, 4, 5), ("b", 0, 0, 5), ("c", 5, 5, 5), ("a", 1, 1, 7)]


def test_what_is_late_by_more_than_grace_is_joined_at_once() -> None:
    with Driver(make_app()) as driver:
        driver.pipe("prices", [("a", 1, 0), ("a", 2, 20)])
        driver.pipe(
            "orders", [("a", ["first"], 20), ("a", ["late"], 14), ("a", ["just not"], 15), ("a", ["waits"], 16)]
        )
        assert values(driver) == [("a", 1, 14), ("a", 1, 15)]


def test_headers_and_the_record_itself_wait_with_it_over_a_restart() -> None:
    with Driver(make_app()) as driver:
        driver.pipe("orders", [TopicRecord("a", ["x"], 10, (("h", b"1"), ("n", None))), ("b", ["y"], 11)])
        driver.crash()
        driver.restart()
        driver.pipe("orders", [("c", ["z"], 15)])
        (record,) = driver.read("out")
        assert record == TopicRecord("a", [["x"], None, 0, "orders"], 10, (("h", b"1"), ("n", None)))
        assert len(driver.table("orders-prices-left_join-buffer")) == 2


@pytest.mark.parametrize("left", [False, True])
def test_null_keys_and_values(left: bool) -> None:
    with Driver(make_app(left=left)) as driver:
        driver.pipe("prices", key="a", value=1, timestamp=0)
        driver.pipe("orders", [("a", ["x"], 1), (None, ["y"], 99), ("a", None, 99), ("z", ["w"], 1), ("a", ["v"], 6)])
        # Neither moves time, nor does one without a key wait.
        assert values(driver) == ([(None, None, 99), ("a", 1, 1), ("z", None, 1)] if left else [("a", 1, 1)])
        step = next(step for step, _ in driver.dropped)
        assert driver.dropped == {(step, "null_value"): 1} | ({} if left else {(step, "null_key"): 1})


def test_no_grace_at_all_joins_at_once_in_order() -> None:
    with Driver(make_app(grace="0s", history="0s")) as driver:
        driver.pipe("prices", key="a", value=1, timestamp=5)
        driver.pipe("orders", [("a", ["x"], 5), ("a", ["y"], 4), ("a", ["z"], 6)])
        assert values(driver) == [("a", 1, 5), ("a", None, 4), ("a", 1, 6)]


def test_a_changed_key_goes_through_a_repartition_first() -> None:
    app = streams.App("prices")
    prices = app.topic("prices", key_type=str, value_type=int).table(history="1h")
    orders = app.topic("orders", key_type=str, value_type=str).stream().select_key(lambda value: value, key_type=str)
    orders.join(prices, lambda order, price: [order, price], grace="5ms", name="priced").to("out")
    assert "prices-priced-buffer-changelog" in {store.changelog for store in app.plan().stores.values()}
    with Driver(app) as driver:
        driver.pipe("prices", key="a", value=1, timestamp=0)
        driver.pipe("orders", [("k", "a", 1), ("k", "b", 20)])
        assert [record.value for record in driver.read("out")] == [["a", 1]]


def test_errors_name_the_line() -> None:
    app = streams.App("prices")
    orders = app.topic("orders", key_type=str, value_type=int).stream()
    plain = app.topic("plain", key_type=str, value_type=int).table()
    prices = app.topic("prices", key_type=str, value_type=int).table(history="5m")
    with pytest.raises(
        TopologyError, match=r"join at .*test_operator_buffered_table_join.py:\d+: grace= needs a table"
    ):
        orders.join(plain, max, grace="1s")
    with pytest.raises(TopologyError, match=r"grace=10m is more than the history of 'prices', 5m"):
        orders.left_join(prices, max, grace="10m")
    with pytest.raises(TopologyError, match=r"grace= is for the join with a versioned table .* GlobalTable"):
        orders.join(app.topic("everywhere", key_type=str).global_table(), max, key=str, grace="1s")
    with pytest.raises(TopologyError, match=r"grace= is for the join with a versioned table .* Stream"):
        orders.join(orders, max, grace="1s", within=streams.JoinWindow("1s"))
    orders.join(prices.filter(lambda price: price > 0), lambda order, price: 0, grace="5m")


ROW = st.tuples(
    st.sampled_from(["orders", "orders", "prices"]),
    st.sampled_from(["a", "b", None]),
    st.one_of(st.none(), st.integers(1, 9)),
    st.integers(0, 30),
)


def expected(rows: list[tuple[Any, ...]], grace: int, history: int) -> list[tuple[Any, Any, int]]:
    """The rules written down: the table by sorted times, the buffer by sorting."""
    versions: dict[str, dict[int, int | None]] = {}
    table_time = time = -(10**6)
    waiting: list[tuple[int, str, int]] = []
    found: list[tuple[Any, Any, int]] = []

    def price(key: str, at: int) -> int | None:
        known = versions.get(key, {})
        latest = max(known, default=None)
        if at < table_time - history and (latest is None or latest > at):
            return None
        before = [began for began in known if began <= at]
        return known[max(before)] if before else None

    for number, (topic, key, value, at) in enumerate(rows):
        if topic == "prices":
            if key is not None and at >= table_time - history:
                versions.setdefault(key, {})[at] = value
                table_time = max(table_time, at)
        elif value is not None and key is None:
            found.append((None, None, at))
        elif value is not None and at < time - grace:
            found.append((key, price(key, at), at))
        elif value is not None:
            time = max(time, at)
            waiting = sorted([*waiting, (at, key, number)])
            while waiting and waiting[0][0] <= time - grace:
                at, key, _ = waiting.pop(0)
                found.append((key, price(key, at), at))
    return found


def run(rows: list[tuple[Any, ...]], size: int, *, crashes: bool) -> list[tuple[Any, Any, int]]:
    with Driver(make_app()) as driver:
        at = 0
        while at < len(rows):
            stop = next((n for n in range(at, len(rows)) if rows[n][0] != rows[at][0]), len(rows))
            piece = rows[at : min(stop, at + size)]
            driver.pipe(piece[0][0], [(k, v if t == "prices" or v is None else [v], time) for t, k, v, time in piece])
            at += len(piece)
            if crashes and at % 6 == 1:
                driver.crash()
                driver.restart()
        return values(driver)


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(ROW, max_size=20))
def test_it_is_as_the_rules_say_however_it_is_cut_and_crashes(rows: list[tuple[Any, ...]]) -> None:
    wanted = expected(rows, grace=5, history=20)
    assert run(rows, 30, crashes=False) == wanted
    assert run(rows, 1, crashes=True) == wanted
