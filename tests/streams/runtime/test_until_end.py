"""`--until-end` ends, whatever goes on meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

import streams
from streams.client import Client
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker

WRITTEN_MAX = 20_000


async def write(client: Client, done: asyncio.Event) -> int:
    written = 0
    while not done.is_set() and written < WRITTEN_MAX:
        await client.send("numbers", key=f"k{written % 7}", value=1)
        written += 1
    return written


async def test_a_topic_that_is_written_all_the_time_is_read_as_far_as_it_went(tmp_path: Path) -> None:
    app = streams.App("busy", data_dir=str(tmp_path), store="memory")
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=2).stream()
    numbers.group_by(lambda _: "all", name="all", key_type=str).count(name="count")
    async with app.client() as client:
        await client.send_many("numbers", [(f"k{n % 7}", 1) for n in range(500)])
        done = asyncio.Event()
        writing = asyncio.ensure_future(write(client, done))
        first = await Worker(app, Silent(), until_end=True).run()
        done.set()
        written = await writing
        assert written < WRITTEN_MAX
        second = await Worker(app, Silent(), until_end=True).run()
        assert first.records >= 500
        assert first.records + second.records == 500 + written
        assert [row async for row in client.table("count").items()] == [("all", 500 + written)]
