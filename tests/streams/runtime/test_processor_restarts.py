"""Processors with stores and schedules, killed and started again anywhere: what comes out is what comes out without."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import streams
from streams.testing.driver import Driver


class Busy:
    """Counts by key and by window, and tells all it has in three schedules, one of which it cancels and asks for
    again.
    """

    def init(self, ctx: Any) -> None:
        self.ctx = ctx
        self.counts, self.windows = ctx.store("counts"), ctx.store("windows")
        ctx.schedule("7ms", "stream", self.tell)
        self.handle = ctx.schedule("5ms", "stream", self.count_down, name="down")
        ctx.schedule("10ms", "stream", self.forget, start=3)

    def process(self, record: Any) -> None:
        count = (self.counts.get(record.key) or 0) + 1
        self.counts.put(record.key, count)
        start = record.timestamp // 4 * 4
        self.windows.put(record.key, (self.windows.get(record.key, start) or 0) + record.value, start)
        self.ctx.forward(record.replace(value=count))

    def tell(self, timestamp: int) -> None:
        for key, start, value in self.windows.all():
            self.ctx.forward(key=key, value=100 * start + value)

    def count_down(self, timestamp: int) -> None:
        left = self.counts.get("left")
        self.counts.put("left", 3 if left is None else left - 1)
        self.ctx.forward(key="left", value=left)
        if left == 0:
            self.handle.cancel()

    def forget(self, timestamp: int) -> None:
        for key, _ in list(self.counts.all()):
            if key != "left":
                self.counts.delete(key)


def app_of(twice: bool) -> streams.App:
    app = streams.App("shop")
    stores = [
        app.store("counts", key_type=str, value_type=int),
        app.store("windows", key_type=str, value_type=int, kind="window", retention="20ms"),
    ]
    out = app.topic("out", key_type=str, value_type=int)
    first, second = (app.topic(name, key_type=str, value_type=int).stream() for name in ("first", "second"))
    behind = first.merge(second).process(Busy, stores=stores, key_type=str, value_type=int, name="busy")
    behind.to(out)
    if twice:
        second.process(lambda record, ctx: ctx.forward(record, value=ctx.store("counts").get("a")), stores=stores).to(
            out, name="looks"
        )
    return app


ROWS = st.lists(
    st.tuples(st.sampled_from(["first", "second"]), st.sampled_from("ab"), st.integers(1, 9), st.integers(0, 40)),
    max_size=20,
)


def run(app: streams.App, rows: list[Any], stops: dict[int, str]) -> list[Any]:
    with Driver(app) as driver:
        for at, (topic, key, value, time) in enumerate(rows):
            how = stops.get(at)
            if how == "crash in the middle":
                driver.pipe(topic, key=key, value=value, timestamp=time, commit=False)
                driver.crash()
                driver.restart()
                continue
            if how is not None:
                driver.crash(at=None if how == "crash" else how)
            driver.pipe(topic, key=key, value=value, timestamp=time)
            if driver.is_down:
                driver.restart()
        if driver.is_down:
            driver.restart()
        return [(r.key, r.value, r.timestamp) for r in driver.read("out")]


STOPS = st.dictionaries(
    st.integers(0, 19),
    st.sampled_from(["crash", "crash in the middle", "commit: send outputs", "commit: write stores", "commit: done"]),
    max_size=4,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(ROWS, STOPS, st.booleans())
def test_wherever_it_is_killed(rows: list[Any], stops: dict[int, str], twice: bool) -> None:
    assert run(app_of(twice), rows, stops) == run(app_of(twice), rows, {})


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(ROWS, st.booleans(), st.lists(st.integers(0, 19), max_size=3))
def test_however_it_is_cut(rows: list[Any], twice: bool, cuts: list[int]) -> None:
    rows = [("first", *row[1:]) for row in rows]
    with Driver(app_of(twice)) as driver:
        driver.pipe_many("first", [row[1:] for row in rows], cuts=cuts)
        found = [(r.key, r.value, r.timestamp) for r in driver.read("out")]
    assert found == run(app_of(twice), rows, {})
