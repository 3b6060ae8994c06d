"""Windows on the whole engine: repartitions, several partitions, crashes, tables looked at from everywhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import streams
from streams import agg
from streams.errors import TopologyError
from streams.testing import Driver

HOUR = 3_600_000


class Visit(streams.Record):
    who: str
    seconds: float


def visits(app: streams.App, window: Any, **options: Any) -> Any:
    topic = app.topic("visits", key_type=str, value_type=Visit)
    return (
        topic.stream()
        .group_by(Visit.who, name="by-who")
        .windowed_by(window)
        .aggregate(n=agg.count(), seconds=agg.sum(Visit.seconds), name="t", **options)
    )


def pipe(driver: Driver, *rows: tuple[str, int]) -> None:
    driver.pipe("visits", [("any", Visit(who, 1.5), time) for who, time in rows])


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize(
    ("window", "found"),
    [
        (streams.SessionWindow(10, grace=100), [("a", 0, 15_000, 3), ("b", 0, 0, 1), ("b", 30_000, 30_000, 1)]),
        (streams.CalendarWindow("day"), [("a", 0, 24 * HOUR, 3), ("b", 0, 24 * HOUR, 2)]),
        (streams.UnlimitedWindow(start=5_000), [("a", 5_000, 2**63 - 1, 2), ("b", 5_000, 2**63 - 1, 1)]),
        (streams.TumblingWindow(20, grace=100), [("a", 0, 20_000, 3), ("b", 0, 20_000, 1), ("b", 20_000, 40_000, 1)]),
    ],
    ids=repr,
)
def test_a_table_of_windows_behind_a_repartition(partitions: int, window: Any, found: list[Any]) -> None:
    app = streams.App("bench")
    visits(app, window, retention="1d").emit("commit").to_stream().to("out")
    with Driver(app, partitions=partitions) as driver:
        pipe(driver, ("a", 0), ("b", 0), ("a", 8_000))
        driver.crash()
        driver.restart()
        pipe(driver, ("b", 30_000), ("a", 15_000))
        driver.commit()
        table = driver.table("t")
        seen = [(key.key, key.start, key.end, row.n) for key, row in table.items()]
        assert sorted(seen) == found
        assert [(key.start, row.n) for key, row in table.windows("b")] == [(s, n) for k, s, _, n in found if k == "b"]
        key, start, _, n = found[0]
        assert table.window(key, start + 1).n == n
        last = {record.key: record.value for record in driver.read("out")}
        assert sorted((k.key, k.start, k.end, v.n) for k, v in last.items() if v is not None) == found


def test_sessions_seen_by_an_agent() -> None:
    app = streams.App("bench")
    visits(app, streams.SessionWindow(10, grace=100), retention="1h")
    asked, answers = (
        app.topic("asked", key_type=str, value_type=str),
        app.topic("answers", key_type=str, value_type=list),
    )

    @app.agent(asked, sink=[answers], tables=[app.tables["t"]])
    async def answer(stream: Any) -> Any:
        async for who in stream:
            yield [(window.start, window.end, row.n) for window, row in app.tables["t"].windows(who)]

    # `asked` has as many partitions as the repartition topic that the table is behind
    with Driver(app) as driver:
        pipe(driver, ("a", 0), ("a", 30_000), ("a", 35_000))
        driver.pipe("asked", key="a", value="a", timestamp=36_000)
        assert [record.value for record in driver.read("answers")] == [[[0, 0, 1], [30_000, 35_000, 2]]]


def test_days_by_the_clock_of_a_place_close_at_its_midnight() -> None:
    app = streams.App("bench")
    topic = app.topic("visits", key_type=str, value_type=Visit)
    days = topic.stream().group_by_key().windowed_by(streams.CalendarWindow("day", tz="Europe/Berlin", grace="1h"))
    days.count(name="t").emit("close").to_stream().to("out")

    def at(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp() * 1000)

    with Driver(app) as driver:
        times = ["2024-03-30T23:59", "2024-03-31T00:00", "2024-03-31T23:59", "2024-04-01T00:59", "2024-03-31T12:00"]
        driver.pipe("visits", [("a", Visit("a", 1), at(time)) for time in times])
        assert [(r.key.start, r.key.end, r.value) for r in driver.read("out")] == [
            (at("2024-03-30"), at("2024-03-31"), 1)
        ]
        driver.pipe("visits", [("a", Visit("a", 1), at("2024-04-01T01:00"), [("h", b"1")])])
        (day,) = driver.read("out")
        assert (day.key.end - day.key.start, day.value, day.headers) == (23 * HOUR, 3, (("h", b"1"),))
        driver.pipe("visits", [("a", Visit("a", 1), at("2024-03-31T12:00"))])
        assert driver.dropped == {("t", "late"): 1}


class Halves(streams.Windows):
    """Windows of five seconds and of ten in turn."""

    size_ms = 10_000

    def windows_for(self, timestamp: int) -> list[tuple[int, int]]:
        start = timestamp // 15_000 * 15_000
        return [(start, start + 5_000) if timestamp < start + 5_000 else (start + 5_000, start + 15_000)]


def test_windows_of_ones_own_close_at_their_own_ends() -> None:
    app = streams.App("bench")
    visits(app, Halves()).emit("close").to_stream().to("out")
    with Driver(app) as driver:
        pipe(driver, ("a", 0), ("a", 4_999), ("a", 5_000), ("a", 15_000), ("a", 14_999))
        found = [(record.key.start, record.key.end, record.value.n) for record in driver.read("out")]
        assert found == [(0, 5_000, 2), (5_000, 15_000, 1)] and driver.dropped == {("t", "late"): 1}


def test_changes_of_windows_say_what_they_replace() -> None:
    """How many sessions there are, and how long: a session that is swallowed is taken back."""
    app = streams.App("bench")
    topic = app.topic("visits", key_type=str, value_type=Visit)
    sessions = topic.stream().group_by_key().windowed_by(streams.SessionWindow(10, grace=100)).count(name="sessions")
    sessions.group_by(lambda key, n: (key.key, n), key_type=str, name="by").count(name="many").to_stream().to("out")
    with Driver(app) as driver:
        driver.pipe("visits", [("a", Visit("a", 1), time) for time in (0, 20_000, 40_000, 10_000, 30_000)])
        assert [record.value for record in driver.read("out")][-1] == 1
        assert driver.table("many").get("a") == 1


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda g: g.windowed_by("1h"), "windowed_by at .*give TumblingWindow"),
        (lambda g: g.windowed_by(streams.UnlimitedWindow()).count().emit("close"), "never closes"),
        (lambda g: g.count().emit("close"), "put windowed_by"),
        (lambda g: g.count(retention=5), "retention= at .* is for windows"),
        (lambda g: g.windowed_by(streams.SessionWindow(1)).count(ttl=5), "windows go by retention="),
        (lambda g: g.aggregate(0, lambda a, v: a, merge=lambda a, b: a), "merge= is for sessions"),
    ],
)
def test_what_is_refused_names_the_line(use: Callable[[Any], Any], message: str) -> None:
    grouped = streams.App("bench").topic("visits", key_type=str, value_type=Visit).stream().group_by_key()
    with pytest.raises(TopologyError, match=message) as raised:
        use(grouped)
    assert __file__ in str(raised.value)
