"""`source_idle_after_ms`: time goes on without records, so that windows close and what waits for a match leaves."""

from __future__ import annotations

from typing import Any

import pytest

import streams
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker
from streams.testing import Driver

AFTER_MS = 5_000


def windowed(*, moved: bool = False, **settings: Any) -> streams.App:
    """The starts (s) of windows of ten seconds, as they close."""
    app = streams.App("idle", **({"source_idle_after_ms": AFTER_MS} | settings))
    numbers = app.topic("numbers", key_type=str, value_type=int).stream()
    grouped = numbers.group_by(lambda value: "all", name="all", key_type=str) if moved else numbers.group_by_key()
    counts = grouped.windowed_by(streams.TumblingWindow("10s")).count(name="counts").emit("close")
    counts.to_stream().map(lambda window, count: (window.key, window.start // 1_000), key_type=str).to("closed")
    return app


def send(driver: Any, *rows: tuple[int, int]) -> None:
    """(partition, time in s) pairs."""
    for partition, time in rows:
        driver.pipe("numbers", key=f"p{partition}", value=time, timestamp=time * 1_000, partition=partition)


def closed(driver: Any) -> list[Any]:
    return [(record.key, record.value) for record in driver.read("closed")]


@pytest.mark.parametrize("moved", [False, True])
def test_time_goes_on_with_the_clock_when_input_pauses(moved: bool) -> None:
    with Driver(windowed(moved=moved)) as driver:
        key = "all" if moved else "p0"
        send(driver, (0, 1), (0, 12))
        assert closed(driver) == [(key, 0)]
        driver.advance(wall="4.999s")
        assert closed(driver) == []
        driver.advance(wall="3s")
        assert closed(driver) == []  # it is 19.999 now
        driver.advance(wall="1ms")
        assert closed(driver) == [(key, 10)]
        send(driver, (0, 19), (0, 25))  # the first is late
        assert driver.dropped == {("counts", "late"): 1}


def test_an_idle_partition_goes_by_the_others() -> None:
    with Driver(windowed(), partitions=2) as driver:
        send(driver, (0, 1), (1, 2))
        driver.advance(wall="3s")
        send(driver, (1, 50))
        assert closed(driver) == [("p1", 0)]
        driver.advance(wall="1.999s")
        assert closed(driver) == []
        driver.advance(wall="1ms")
        assert closed(driver) == [("p0", 0)]
        driver.advance(wall="7.999s")
        assert closed(driver) == []
        driver.advance(wall="1ms")
        assert closed(driver) == [("p1", 50)]


def test_a_writer_that_is_not_idle_holds_back() -> None:
    with Driver(windowed(moved=True, idle_after_ms=60_000), partitions=2) as driver:
        send(driver, (0, 1), (1, 2), (1, 50))
        driver.advance(wall="59s")
        assert closed(driver) == []  # partition 0 may still have records of the first window
        driver.advance(wall="1s")
        assert closed(driver) == [("all", 0), ("all", 50)]


def test_what_waits_for_a_match_leaves() -> None:
    app = streams.App("idle", source_idle_after_ms=AFTER_MS)
    left, right = (app.topic(name, key_type=str, value_type=int).stream() for name in ("left", "right"))
    left.outer_join(right, lambda left, right: [left, right], within=streams.JoinWindow("10s"), name="j").to("closed")
    with Driver(app) as driver:
        driver.pipe("left", key="a", value=1, timestamp=3_000)
        driver.pipe("right", key="b", value=2, timestamp=4_000)
        driver.advance(wall="9s")
        assert closed(driver) == []
        driver.advance(wall="1.001s")
        assert closed(driver) == [("a", [1, None]), ("b", [None, 2])]


def test_after_a_restart_the_clock_counts_anew_and_what_is_closed_stays_closed() -> None:
    with Driver(windowed()) as driver:
        send(driver, (0, 1), (0, 12))
        driver.advance(wall="7s")
        driver.crash()
        driver.restart()
        assert closed(driver) == [("p0", 0)]
        driver.advance(wall="7.999s")
        assert closed(driver) == []
        driver.advance(wall="1ms")
        assert closed(driver) == [("p0", 10)]
        driver.crash()
        driver.restart()
        send(driver, (0, 13), (0, 20))
        assert closed(driver) == []


def test_off_unless_it_is_set() -> None:
    with Driver(windowed(source_idle_after_ms=0)) as driver:
        send(driver, (0, 1))
        driver.advance(wall="1d")
        assert closed(driver) == []


async def test_nobody_is_idle_in_a_replay(folder: str) -> None:
    app = windowed(data_dir=folder, store="memory", source_idle_after_ms=1)
    async with app.client() as client:
        await client.send("numbers", key="k", value=1, timestamp=1_000)
        clock = iter(range(0, 10**9, 10**6))
        await Worker(app, Silent(), until_end=True, now_ms=lambda: next(clock)).run()
        assert [record async for record in client.read("closed")] == []


TABLES: dict[str, Any] = {
    "hopping": lambda g: g.windowed_by(streams.HoppingWindow("10s", step="5s")).count(name="c").emit("close"),
    "sliding": lambda g: g.windowed_by(streams.SlidingWindow("10s")).count(name="c").emit("close"),
    "session": lambda g: g.windowed_by(streams.SessionWindow("10s")).count(name="c").emit("close"),
    "suppressed windows": lambda g: (
        g.windowed_by(streams.TumblingWindow("10s")).count(name="c").suppress(until="close", name="s")
    ),
    "suppressed": lambda g: g.count(name="c").suppress(until="10s", name="s"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_whatever_waits_for_time_leaves(kind: str) -> None:
    app = streams.App("idle", source_idle_after_ms=AFTER_MS)
    table = TABLES[kind](app.topic("numbers", key_type=str, value_type=int).stream().group_by_key())
    table.to_stream().map(lambda key, count: ("all", count), key_type=str).to("closed")
    with Driver(app) as driver:
        send(driver, (0, 1))
        driver.advance(wall="8s")
        assert closed(driver) == []
        driver.advance(wall="8s")
        assert closed(driver) == [("all", 1)]
