"""Time behind a repartition is that of the records that get there: nothing of a backfill is late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import streams
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
LATER_MS = 10_000 * HOUR_MS

Build = Callable[[streams.App], streams.Stream]


def topics(app: streams.App) -> tuple[streams.Stream, streams.Table]:
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=3)
    return numbers.stream(), app.topic("names", key_type=str, value_type=str, partitions=3).table(name="names")


def with_a_table(app: streams.App) -> streams.Stream:
    """The table's records are later than all others, and are looked up only."""
    numbers, names = topics(app)
    return numbers.join(names, lambda number, _: number, value_type=int)


def in_a_circle(app: streams.App) -> streams.Stream:
    """Both streams meet the same table, so they are one sub-topology, which feeds itself."""
    numbers, names = topics(app)
    numbers.join(names, lambda number, name: name, value_type=str).to("by-key")
    other = numbers.select_key(lambda number: f"k{number % 7}", key_type=str)
    return other.join(names, lambda number, _: number, value_type=int, name="again")


def in_a_circle_of_two(app: streams.App) -> streams.Stream:
    numbers, names = topics(app)
    numbers.join(names, lambda number, name: name, value_type=str).to("by-key")
    first = numbers.select_key(lambda number: f"k{number % 5}", key_type=str).repartition(name="first", partitions=2)
    other = first.select_key(lambda number: f"k{number % 7}", key_type=str).repartition(name="second", partitions=3)
    return other.join(names, lambda number, _: number, value_type=int)


def twice(app: streams.App) -> streams.Stream:
    """Several write what one reads and writes on."""
    numbers, _ = topics(app)
    return numbers.repartition(name="first", partitions=1)


def made(folder: Path, build: Build) -> streams.App:
    app = streams.App("times", data_dir=str(folder), store="memory", batch_records_max=20)
    hours = build(app).group_by(lambda number: "all", name="all", key_type=str)
    counts = hours.windowed_by(streams.TumblingWindow("1h")).count(name="counts").emit("close")
    counts.to_stream().to("closed")
    return app


async def send(app: streams.App, topic: str, rows: list[tuple[str, object, int, int | None]]) -> None:
    async with app.client() as client:
        for answer in [client.send(topic, key=k, value=v, timestamp=t, partition=p) for k, v, t, p in rows]:
            await answer


async def run(app: streams.App) -> None:
    worker = Worker(app, Silent(), until_end=True)
    summary = await worker.run()
    assert summary.dropped == ()


@pytest.mark.parametrize(
    "build", [with_a_table, in_a_circle, in_a_circle_of_two, twice], ids=lambda build: build.__name__
)
async def test_nothing_is_late_whatever_else_the_task_reads(tmp_path: Path, build: Build) -> None:
    app = made(tmp_path, build)
    async with app.client():  # holds the folder open
        await send(app, "names", [(f"k{n}", "name", LATER_MS, None) for n in range(11)])
        await run(app)
        expected: Counter[int] = Counter()
        for begin, end in ((0, 1_000), (1_000, 2_000)):
            numbers = [n for n in range(begin, end) if n % 11 % 3 or n > begin + 500]  # some are far ahead
            expected.update(n * MINUTE_MS // HOUR_MS * HOUR_MS for n in numbers)
            await send(app, "numbers", [(f"k{n % 11}", n, n * MINUTE_MS, None) for n in numbers])
            await run(made(tmp_path, build))
        async with app.client() as client:
            closed = {record.key.start: record.value async for record in client.read("closed")}
    assert max(closed) >= 31 * HOUR_MS
    assert closed == {start: count for start, count in expected.items() if start in closed}
