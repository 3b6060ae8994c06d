"""Restoring: what is read at a start, how far, and what is told of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import streams
from state.backends.rocks import RocksBackend
from streams.runtime.observer import Restoring, Silent
from streams.runtime.worker import Worker


class Watcher(Silent):
    def __init__(self) -> None:
        self.events: list[Restoring] = []

    def restoring(self, event: Restoring) -> None:
        self.events.append(event)


def counting(folder: str, store: str) -> streams.App:
    app = streams.App("restores", data_dir=folder, store=store)
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=2)
    counts = numbers.stream().group_by_key().count(name="counts").emit("update")
    counts.to_stream().to(app.topic("out", key_type=str, value_type=int, partitions=1))
    return app


async def run(app: streams.App) -> tuple[int, list[Restoring]]:
    """How many records were restored, and what was told."""
    watcher = Watcher()
    worker = Worker(app, watcher, until_end=True)
    await worker.run()
    assert worker.assembly is not None and worker.assembly.restore is not None
    return worker.assembly.restore.records, watcher.events


async def send(app: streams.App, *pairs: tuple[str, int]) -> None:
    async with app.client() as client:
        await client.send_many("numbers", pairs)


async def results(app: streams.App) -> list[tuple[str, int]]:
    async with app.client() as client:
        return [(record.key, record.value) async for record in client.read("out")]


async def test_a_store_that_is_whole_is_left_alone(folder: str) -> None:
    app = counting(folder, "rocksdb")
    await send(app, *[(f"k{n % 7}", n) for n in range(30)])
    await run(app)
    assert await run(app) == (0, [])
    await send(app, ("k0", 1))
    assert await run(app) == (0, [])
    assert (await results(app))[-1] == ("k0", 6)


async def test_a_store_in_memory_is_read_anew_and_told_of(folder: str) -> None:
    app = counting(folder, "memory")
    await send(app, *[(f"k{n % 7}", n) for n in range(30)])
    await run(app)
    records, events = await run(app)
    counts = [event for event in events if event.store == "counts"]
    assert sum(event.records for event in counts if event.done) == 7
    assert records >= 7
    assert {event.partition for event in counts} == {0, 1}
    assert all(event.records <= event.records_total for event in counts)
    assert [event.done for event in counts if event.partition == 0][-1]
    await send(app, ("k0", 1))
    await run(app)
    assert (await results(app))[-1] == ("k0", 6)


async def test_a_topic_that_serves_as_changelog_is_read_as_far_as_it_was_committed(folder: str) -> None:
    """What was written meanwhile comes as records, joined with the table as it was."""
    app = streams.App("restores", data_dir=folder, store="memory")
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=1)
    table = numbers.table(name="latest")
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    seen: list[Any] = []
    table.to_stream().peek(seen.append).to(out)
    await send(app, *[("a", 1), ("b", 2), ("a", 3)])
    await run(app)
    async with app.client() as client:
        await client.send_many("numbers", [("b", 4), ("c", 5)])
    _, events = await run(app)
    assert [event.records for event in events if event.done and event.store == "latest"] == [3]
    assert seen == [1, 2, 3, 4, 5]
    assert await results(app) == [("a", 1), ("b", 2), ("a", 3), ("b", 4), ("c", 5)]


async def test_windows_and_deletions_are_restored(folder: str) -> None:
    app = streams.App("restores", data_dir=folder, store="memory")
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=1)
    windowed = numbers.stream().group_by_key().windowed_by(streams.TumblingWindow("10s"))
    sums = windowed.reduce(lambda old, new: old + new or None, name="sums", retention="1h").emit("update")
    sums.to_stream().map(lambda key, value: (key.key, value)).to(
        app.topic("out", key_type=str, value_type=int, partitions=1)
    )
    async with app.client() as client:
        for key, value, time in [("a", 1, 0), ("b", 5, 0), ("b", -5, 1), ("a", 2, 10_000)]:
            await client.send("numbers", key=key, value=value, timestamp=time)
        await run(app)
        await client.send("numbers", key="a", value=7, timestamp=10_001)
        await client.send("numbers", key="b", value=3, timestamp=10_002)
        await run(app)
        found = [row async for row in client.table("sums").items()]
    assert [(key.key, key.start, value) for key, value in found] == [("a", 0, 1), ("a", 10_000, 9), ("b", 10_000, 3)]
    assert await results(app) == [("a", 1), ("b", 5), ("b", None), ("a", 2), ("a", 9), ("b", 3)]


async def test_a_store_that_is_behind_with_its_own_work_is_waited_for(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = counting(folder, "rocksdb")
    await send(app, *[(f"k{n % 7}", n) for n in range(30)])
    await run(app)
    shutil.rmtree(Path(folder) / "state")
    asked: list[str] = []

    def busy(backend: RocksBackend, store: str) -> bool:
        asked.append(store)
        return len(asked) % 3 != 0

    monkeypatch.setattr(RocksBackend, "busy", busy)
    assert (await run(app))[0] > 0
    assert len(asked) >= 3 and len(asked) % 3 == 0
