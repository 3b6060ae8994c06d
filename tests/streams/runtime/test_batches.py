"""How records are cut into batches changes nothing: sums of a backfill, and random small graphs."""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import streams
from streams import agg
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker

HOUR_MS = 3_600_000
MEMORY_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A clean stop syncs some eighty files; many small runs are quicker where a sync is free."""
SIZES = [1, 7, 1_000, 100_000]


class Flight(streams.Record):
    carrier: str
    delay: int | None


async def run(app: streams.App) -> None:
    await Worker(app, Silent(), until_end=True).run()


async def fill(app: streams.App, topic: str, rows: list[tuple[Any, Any, int, int]]) -> None:
    async with app.client() as client:
        for answer in [client.send(topic, key=k, value=v, timestamp=t, partition=p) for k, v, t, p in rows]:
            await answer


async def read(app: streams.App, topic: str) -> list[tuple[int, Any, Any, int]]:
    async with app.client() as client:
        return sorted(
            [(r.partition, r.offset, r.key, r.value, r.timestamp) async for r in client.read(topic)],
            key=lambda row: row[:2],
        )


def backfill(records: int, partitions: int) -> list[tuple[str, Flight, int, int]]:
    """A month of flights; the last partition is far ahead of the others in its log, so it is read to its end early."""
    draw = random.Random(11)
    rows = []
    for n in range(records):
        time = n * 30 * 24 * HOUR_MS // records
        delay = draw.choice([None, *range(90)])
        rows.append((f"k{n}", Flight(draw.choice(["AA", "UA", "DL", "B6"]), delay), time, n % partitions))
    # One partition holds only the second half of the month: its first record is two weeks ahead of the others'.
    return [row for row in rows if row[3] or row[2] > 15 * 24 * HOUR_MS]


@pytest.mark.parametrize("size", SIZES)
async def test_a_backfill_through_group_by_gives_what_a_plain_sum_gives(tmp_path: Path, size: int) -> None:
    app = streams.App("backfill", data_dir=str(tmp_path), batch_records_max=size)
    flights = app.topic("flights", key_type=str, value_type=Flight, partitions=3)
    hourly = (
        flights.stream()
        .group_by(Flight.carrier, name="by-carrier")
        .windowed_by(streams.TumblingWindow("1d"))
        .aggregate(flights=agg.count(), delay=agg.sum(Flight.delay), name="daily")
        .emit("close")
    )
    hourly.to_stream().to("daily-delays")
    rows = backfill(1_500 if size == 1 else 6_000, 3)
    await fill(app, "flights", rows)
    worker = Worker(app, Silent(), until_end=True)
    await worker.run()

    expected: dict[tuple[str, int], list[Any]] = defaultdict(lambda: [0, None])
    for _, flight, time, _ in rows:
        group = expected[flight.carrier, time // (24 * HOUR_MS) * 24 * HOUR_MS]
        group[0] += 1
        if flight.delay is not None:
            group[1] = (group[1] or 0) + flight.delay
    found = {(row[2].key, row[2].start): [row[3].flights, row[3].delay] for row in await read(app, "daily-delays")}
    last_open = min(start for _, start in expected.keys() - found.keys())
    assert last_open >= 28 * 24 * HOUR_MS
    assert found == {group: value for group, value in expected.items() if group in found}
    assert worker.assembly is not None
    assert sum(task.failures.counts.total() for task in worker.assembly.tasks) == 0


# -- random graphs

Build = Callable[[streams.App, Any], None]


def diamond(app: streams.App, numbers: Any) -> None:
    """Branches of one source that meet again."""
    stream = numbers.stream()
    even = stream.filter(lambda v: v % 2 == 0).map_values(lambda v: v * 10)
    odd = stream.filter(lambda v: v % 2).flat_map_values(lambda v: [v, -v])
    even.merge(odd).to("out")


def two_sinks(app: streams.App, numbers: Any) -> None:
    """Two branches that write one topic."""
    numbers.stream().map_values(lambda v: v + 1).to("out")
    numbers.stream().filter(lambda v: v > 3).map_values(lambda v: v * 100).to("out")


def own_table(app: streams.App, numbers: Any) -> None:
    """A table joined with the stream of its own topic."""
    table = numbers.table(name="latest")
    numbers.stream().left_join(table, lambda left, right: [left, right]).to("out")


def counts(app: streams.App, numbers: Any) -> None:
    """Every change of a count, joined back to the stream that it counts."""
    table = numbers.stream().group_by_key().count(name="counted").emit("update")
    table.to_stream().to("out")
    numbers.stream().join(table, lambda value, count: [value, count]).to("joined")


def windows(app: streams.App, numbers: Any) -> None:
    """Windows, closed by later records, out of order within and beyond grace."""
    windowed = numbers.stream().group_by_key().windowed_by(streams.HoppingWindow(0.01, step=0.005, grace=0.004))
    windowed.reduce(lambda old, new: old + new, name="summed").emit("close").to_stream().map(
        lambda key, value: (key.key, [key.start, value])
    ).to("out")


def per_update(app: streams.App, numbers: Any) -> None:
    numbers.stream().group_by_key().windowed_by(streams.TumblingWindow(0.01)).aggregate(
        n=agg.count(), total=agg.sum(lambda v: v), name="t"
    ).emit("update").to_stream().map(lambda k, v: (k.key, [k.start, v.n, v.total])).to("out")


GRAPHS: list[Build] = [diamond, two_sinks, own_table, counts, windows, per_update]
ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(0, 60)), max_size=40)


@pytest.mark.parametrize("build", GRAPHS, ids=lambda build: build.__name__)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
async def test_graphs_give_the_same_for_every_batch_size(build: Build, rows: list[tuple[str, int, int]]) -> None:
    results = []
    for size in (1, 3, 1_000):
        with tempfile.TemporaryDirectory(dir=MEMORY_DISK) as folder:
            app = streams.App("graph", data_dir=folder, batch_records_max=size, store="memory")
            numbers = app.topic("numbers", key_type=str, value_type=int, partitions=1)
            build(app, numbers)
            async with app.client():  # holds the folder open, so that it is closed, and synced, once
                await fill(app, "numbers", [(key, value, time, 0) for key, value, time in rows])
                await run(app)
                names = [name for name in ("out", "joined") if name in app.plan().topics]
                results.append([await read(app, name) for name in names])
    assert results[0] == results[1] == results[2]


async def test_a_stream_joined_with_its_own_count_sees_each_count(tmp_path: Path) -> None:
    app = streams.App("graph", data_dir=str(tmp_path))
    counts(app, numbers := app.topic("numbers", key_type=str, value_type=int, partitions=1))
    rows = [("abc"[n % 3], n, n) for n in range(30)]
    await fill(app, numbers.name, [(key, value, time, 0) for key, value, time in rows])
    await run(app)
    assert [row[3] for row in await read(app, "joined")] == [[n, n // 3 + 1] for n in range(30)]
    assert [row[3] for row in await read(app, "out")] == [n // 3 + 1 for n in range(30)]
