"""Schedules in a task: they are called between the records, however those are cut."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import streams
from broker_embedded import records
from streams.testing.driver import Driver

ROWS = [("a", 1, 1), ("b", 1, 5), ("x", 100, 12), ("a", 1, 13), ("a", 2, 47), ("b", 200, 60), ("b", 1, 61)]


class Count:
    def init(self, ctx: Any) -> None:
        self.ctx, self.counts = ctx, ctx.store("counts")
        ctx.schedule("10ms", "stream", self.tick)

    def process(self, record: Any) -> None:
        count = (self.counts.get(record.key) or 0) + 1
        self.counts.put(record.key, count)
        self.ctx.forward(record.replace(value=count))

    def tick(self, timestamp: int) -> None:
        for key, count in self.counts.all():
            self.ctx.forward(key=key, value=-count)


class Idle:
    def process(self, record: Any) -> None: ...


@pytest.mark.parametrize("rows_max", [1, 2, 3, 100])
@pytest.mark.parametrize("twice", [False, True], ids=["batches", "record by record"])
async def test_however_records_are_cut(task_bench: Callable[..., Any], rows_max: int, twice: bool) -> None:
    app = streams.App("shop")
    counts = app.store("counts", key_type=str, value_type=int)
    numbers = app.topic("in", key_type=str, value_type=int).stream()
    numbers.filter(lambda v: v < 100).process(Count, stores=[counts], key_type=str, value_type=int).to("out")
    if twice:
        numbers.process(Idle)
    bench = task_bench(app, "in", rows_max=rows_max)
    bench.open()
    bench.logs["in"].append([(key.encode(), str(value).encode(), time) for key, value, time in ROWS])
    await bench.run()
    found = []
    for _, data, _ in bench.outputs.drain():
        part = records.decode(memoryview(data))
        found += zip(part.keys(), map(int, part.values()), part.timestamps.tolist(), strict=True)
    assert found == [
        *[(b"a", 1, 1), (b"a", -1, 1), (b"b", 1, 5), (b"a", -1, 12), (b"b", -1, 12), (b"a", 2, 13)],
        *[(b"a", 3, 47), (b"a", -3, 47), (b"b", -1, 47), (b"a", -3, 60), (b"b", -1, 60), (b"b", 2, 61)],
    ]


class Ticking:
    """Forwards under its name, and three schedules of which several fall due together."""

    name = ""

    def init(self, ctx: Any) -> None:
        self.ctx = ctx
        for label, interval, start in (("10", "10ms", None), ("5", "5ms", None), ("7+10", "10ms", 7)):
            ctx.schedule(interval, "stream", partial(self.tick, label), start=start, name=label)

    def process(self, record: Any) -> None:
        self.ctx.forward(record, key=self.name + record.key)

    def tick(self, label: str, timestamp: int) -> None:
        self.ctx.forward(key=self.name + label, value=0)


class Above(Ticking):
    name = "A"


class Below(Ticking):
    name = "B"


# What TopologyTestDriver of Kafka Streams 4.3.1 printed for the same two processors.
KAFKA = """
1: BAa BA10 BA5 B10 B5
4: BAa
8: BAa BA5 B5 BA7+10 B7+10
33: BAa B5 BA5 BA10 B10 BA7+10 B7+10
33: BAa
50: BAa B5 BA5 BA7+10 B7+10 B10 BA10
107: BAa B5 BA5 B7+10 BA7+10 B10 BA10
"""


@pytest.mark.parametrize("restarts", [False, True])
def test_two_processors_with_schedules_are_called_in_kafkas_order(restarts: bool) -> None:
    app = streams.App("shop")
    stream = app.topic("in", key_type=str, value_type=int).stream()
    stream.process(Above, key_type=str, value_type=int).process(Below, key_type=str, value_type=int).to("out")
    found = []
    with Driver(app) as driver:
        for time in (1, 4, 8, 33, 33, 50, 107):
            driver.pipe("in", key="a", value=1, timestamp=time)
            came = driver.read("out")
            assert {record.timestamp for record in came} == {time}
            found.append(f"{time}: " + " ".join(record.key for record in came))
            if restarts:
                driver.restart()
    assert found == KAFKA.split("\n")[1:-1]
