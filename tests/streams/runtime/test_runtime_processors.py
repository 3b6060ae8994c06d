"""Schedules in a task: they are called between the records, however those are cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from broker_embedded import records

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
