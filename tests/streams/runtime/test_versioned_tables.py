"""Versioned tables: what a key was at any time, late changes, reading, restarts, crashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streams
from streams.errors import ConfigError, TopologyError
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker
from streams.table import TableAccessError
from streams.testing.driver import Driver

Row = tuple[str, str | None, int | None, int]
"""Topic, key, value, timestamp."""


def make_app(history: str = "10ms", left: bool = True, **options: Any) -> streams.App:
    app = streams.App("prices", **options)
    prices = app.topic("prices", key_type=str, value_type=int).table(history=history)
    orders = app.topic("orders", key_type=str, value_type=int).stream()
    out = app.topic("out", key_type=str, value_type=list[Any])
    (orders.left_join if left else orders.join)(prices, lambda order, price: [order, price]).to(out)
    prices.to_stream().to(app.topic("changes", key_type=str, value_type=int))
    doubled = prices.filter(lambda price: price != 13).map_values(lambda price: 2 * price, value_type=int)
    joined = app.topic("orders2", key_type=str, value_type=int).stream()
    joined.left_join(doubled, lambda order, price: [order, price], name="doubled").to(out)
    return app


def test_a_record_meets_what_was_valid_at_its_time() -> None:
    with Driver(make_app()) as driver:
        driver.pipe("prices", [("a", 1, 10), ("a", 2, 20), ("a", 3, 15), ("b", 9, 12), ("a", None, 18)])
        driver.pipe("orders", [("a", time, time) for time in (9, 10, 14, 15, 17, 18, 19, 20, 99)])
        found = [(record.timestamp, record.value[1]) for record in driver.read("out")]
        # 9 is before the history, though the key was nothing then anyway.
        assert found == [(9, None), (10, 1), (14, 1), (15, 3), (17, 3), (18, None), (19, None), (20, 2), (99, 2)]
        driver.pipe("orders2", [("a", time, time) for time in (10, 16, 30)])
        assert [record.value[1] for record in driver.read("out")] == [2, 6, 4]


def test_what_is_late_is_handed_on_and_what_is_too_late_is_not() -> None:
    with Driver(make_app()) as driver:
        driver.pipe("prices", [("a", 1, 50), ("a", 2, 45), ("a", 3, 39), ("b", 4, 40), (None, 5, 50)])
        assert [record[:3] for record in driver.read("changes")] == [("a", 1, 50), ("a", 2, 45), ("b", 4, 40)]
        assert driver.dropped == {("prices-table", "late"): 1, ("prices-table", "null_key"): 1}
        table = driver.table("prices")
        assert (table.get("a"), table.get("a", as_of=45), table.get("a", as_of=39), table.get("a", 0, as_of=44)) == (
            1,
            2,
            None,
            0,
        )
        assert table.history("a") == [(2, 45, 50), (1, 50, None)]
        assert table.items() == [("a", 1), ("b", 4)] and "a" in table and len(table) == 2


def test_agents_read_earlier_times() -> None:
    app = make_app()
    asked, told = (
        app.topic("asked", key_type=str, value_type=int),
        app.topic("told", key_type=str, value_type=list[Any]),
    )
    prices = app.tables["prices"]

    @app.agent(asked, sink=[told], tables=[prices])
    async def tell(stream: Any) -> Any:
        async for time in stream:
            yield [prices.get("a"), prices.get("a", "nothing", as_of=time), dict(prices.items())]

    late = app.Table("late", key_type=str, value_type=int, default=int)
    with Driver(app) as driver:
        driver.pipe("prices", [("a", 1, 10), ("a", 2, 20)])
        driver.pipe("asked", [("a", 9, 0), ("a", 12, 0)])
        assert [record.value for record in driver.read("told")] == [[2, "nothing", {"a": 2}], [2, 1, {"a": 2}]]
        with pytest.raises(TableAccessError, match="is read as of a time, and keeps only the latest values"):
            late.get("a", as_of=1)


async def test_clients_read_earlier_times(tmp_path: Path) -> None:
    app = make_app("1h", data_dir=str(tmp_path))
    async with app.client() as client:
        for value, time in ((1, 10_000), (2, 20_000), (3, 15_000), (4, 20_000)):
            await client.send("prices", key="a", value=value, timestamp=time)
        await Worker(app, Silent(), until_end=True).run()
        table = client.table("prices")
        assert [await table.get("a", as_of=time) for time in (9_999, 10_000, 15_000, 20_000, 99_000)] == [
            None,
            1,
            3,
            4,
            4,
        ]
        assert await table.get("a") == 4 and [row async for row in table.items()] == [("a", 4)]
        await client.send("prices", key="a", value=5, timestamp=16_000)
        await Worker(make_app("1h", data_dir=str(tmp_path)), Silent(), until_end=True).run()
        assert [await table.get("a", as_of=time) for time in (15_000, 16_000, 20_000)] == [3, 5, 4]


def test_errors() -> None:
    app = streams.App("prices")
    topic = app.topic("prices", key_type=str, value_type=int)
    with pytest.raises(TopologyError, match=r"table at .*test_versioned_tables.py:\d+: ttl= and history= do not go"):
        topic.table(history="1h", ttl="1h")
    with pytest.raises(ConfigError, match="history="):
        topic.table(history="an hour")


ROW = st.tuples(
    st.sampled_from(["prices", "prices", "orders", "orders2"]),
    st.sampled_from(["a", "b", None]),
    st.one_of(st.none(), st.integers(1, 20)),
    st.integers(0, 40),
)


def run(rows: list[Row], *, size: int, crashes: bool) -> tuple[list[Any], dict[Any, int]]:
    """What comes out of rows that are piped `size` at a time, each run of one topic being a batch."""
    with Driver(make_app()) as driver:
        dropped: dict[Any, int] = {}
        at = 0
        while at < len(rows):
            stop = next((n for n in range(at, len(rows)) if rows[n][0] != rows[at][0]), len(rows))
            piece = rows[at : min(stop, at + size)]
            driver.pipe(piece[0][0], [row[1:] for row in piece])
            at += len(piece)
            if crashes and at % 3 == 0:
                for what, count in driver.dropped.items():
                    dropped[what] = dropped.get(what, 0) + count
                driver.crash() if at % 2 else driver.stop()
                driver.restart()
        for what, count in driver.dropped.items():
            dropped[what] = dropped.get(what, 0) + count
        found = [(name, record[:3]) for name in ("out", "changes") for record in driver.read(name)]
        return found, dropped


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(ROW, max_size=25))
def test_however_records_are_cut_and_whatever_crashes(rows: list[Row]) -> None:
    one_by_one = run(rows, size=1, crashes=False)
    assert run(rows, size=25, crashes=False) == one_by_one
    assert run(rows, size=2, crashes=True) == one_by_one


def test_steps_that_want_the_latest_leave_out_what_is_late() -> None:
    app = streams.App("prices")
    prices = app.topic("prices", key_type=str, value_type=int).table(history="1h")
    names = app.topic("names", key_type=str, value_type=str).table()
    prices.join(names, lambda price, name: f"{name} {price}").to_stream().to("joined")
    prices.group_by(lambda key, price: ("all", price), key_type=str, value_type=int).aggregate(
        0, lambda total, price: total + price, lambda total, price: total - price, name="sum"
    )
    prices.filter(lambda price: price > 1).to_stream().to("filtered")
    with Driver(app) as driver:
        driver.pipe("names", key="a", value="tea")
        driver.pipe("prices", [("a", 5, 20), ("a", 7, 10), ("b", 4, 30), ("a", 1, 15), ("a", 2, 40)])
        assert [record[1:3] for record in driver.read("joined")] == [("tea 5", 20), ("tea 2", 40)]
        assert driver.table("sum").get("all") == 6
        found = [(record.value, record.timestamp) for record in driver.read("filtered")]
        assert found == [(5, 20), (7, 10), (4, 30), (None, 15), (2, 40)]
        assert [count for (_, reason), count in driver.dropped.items() if reason == "out_of_order"] == [2, 2]


def test_a_step_with_a_store_knows_only_the_last_to_come() -> None:
    app = streams.App("prices")
    prices = app.topic("prices", key_type=str, value_type=int).table(history="1h").map_values(lambda v: v, store="kept")
    orders = app.topic("orders", key_type=str, value_type=int).stream()
    orders.left_join(prices, lambda order, price: [order, price]).to("out")
    with pytest.raises(TopologyError, match="grace= needs a table that knows what it held before"):
        orders.left_join(prices, lambda order, price: 0, grace="1s")
    with Driver(app) as driver:
        driver.pipe("prices", [("a", 1, 20), ("a", 2, 10)])
        driver.pipe("orders", [("a", 0, 5)])
        assert [record.value for record in driver.read("out")] == [[0, 2]]


def test_suppress_is_refused() -> None:
    prices = streams.App("prices").topic("prices", key_type=str, value_type=int).table(history="1h")
    with pytest.raises(TopologyError, match="suppress"):
        prices.filter(lambda price: price > 0).suppress(until="1s")


def test_a_stream_as_a_versioned_table_behind_a_repartition() -> None:
    app = streams.App("prices")
    changed = app.topic("changes", key_type=str, value_type=int).stream().select_key(lambda v: ["even", "odd"][v % 2])
    table = changed.to_table(name="latest", history="1h")
    orders = app.topic("orders", key_type=str, value_type=int).stream()
    orders.join(table, lambda order, price: [order, price]).to("out")
    with Driver(app) as driver:
        driver.pipe("changes", [("x", 2, 10), ("y", 4, 30), ("z", 6, 20), ("z", 7, 5)])
        driver.pipe("orders", [("even", 0, time) for time in (9, 10, 25, 30)])
        assert [record.value[1] for record in driver.read("out")] == [2, 6, 4]
        driver.crash()
        driver.restart()
        assert driver.table("latest").history("even") == [(2, 10, 20), (6, 20, 30), (4, 30, None)]
