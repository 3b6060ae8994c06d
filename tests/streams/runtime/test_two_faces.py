"""Agents and pipelines in one graph: each sees what the other keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import streams
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker


async def run(app: streams.App) -> Worker:
    worker = Worker(app, Silent(), until_end=True)
    await worker.run()
    return worker


async def test_a_reader_that_is_ahead_does_not_expire_a_pipelines_windows(folder: str) -> None:
    app = streams.App("faces", data_dir=folder)
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=1)
    others = app.topic("others", key_type=str, value_type=int, partitions=1)
    window = streams.TumblingWindow("10s")
    table = numbers.stream().group_by_key().windowed_by(window).count(name="counts").emit("update")
    table.to_stream().map(lambda key, value: (key.key, value)).to("seen")

    @app.agent(others, tables=[app.tables["counts"]])
    async def look(stream: Any) -> None:
        async for _ in stream:
            assert app.tables["counts"].at("a", 0) is None  # by the agent's time it has expired

    for time in (0, 1, 2):
        async with app.client() as client:
            await client.send("numbers", key="a", value=1, timestamp=time)
            await client.send("others", key="x", value=1, timestamp=10**9 + time)
            await run(app)
    async with app.client() as client:
        assert [record.value async for record in client.read("seen")] == [1, 2, 3]


async def test_an_agent_reads_what_a_pipeline_keeps_and_the_other_way_round(folder: str) -> None:
    app = streams.App("faces", data_dir=folder)
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=2)
    out = app.topic("out", key_type=str, value_type=list[int], partitions=1)
    doubles: Any = app.Table("doubles", key_type=str, value_type=int, partitions=2)
    counts = numbers.stream().group_by_key().count(name="counts").emit("update")
    counts.to_stream().filter(lambda n: n % 2 == 0).to("even")

    @app.agent(numbers, sink=[out], tables=[doubles, app.tables["counts"]])
    async def watch(stream: Any) -> AsyncIterator[list[int]]:
        async for event in stream.events():
            doubles[event.key] = event.value * 2
            yield [event.value, app.tables["counts"][event.key], doubles[event.key]]

    async with app.client() as client:
        await client.send_many("numbers", [(key, n) for n in range(3) for key in "ab"])
        await run(app)
        found = [(record.key, record.value) async for record in client.read("out")]
        assert sorted(found) == sorted((key, [n, n + 1, 2 * n]) for n in range(3) for key in "ab")
        assert sorted([(r.key, r.value) async for r in client.read("even")]) == [("a", 2), ("b", 2)]
        assert [row async for row in client.table("doubles").items()] == [("a", 4), ("b", 4)]
