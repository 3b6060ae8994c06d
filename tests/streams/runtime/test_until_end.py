"""`--until-end` ends, whatever goes on meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import streams
from streams.client import Client
from streams.runtime.observer import Silent
from streams.runtime.seat import take_seat
from streams.runtime.worker import Worker
from streams.transport.group.member import remove_members

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


def counting(folder: Path, **settings: Any) -> streams.App:
    app = streams.App("counting", data_dir=str(folder), store="memory", **settings)
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=4).stream()
    numbers.group_by(lambda value: f"r{value % 7}", name="rest", key_type=str).count(name="counts")
    return app


async def two_at_work_then_none(app: streams.App) -> None:
    """Both keep their seats, and their tasks with them."""
    workers = [Worker(app, Silent()), Worker(app, Silent())]
    ended = [asyncio.ensure_future(worker.run()) for worker in workers]
    async with asyncio.timeout(30):
        while not all(worker.assembly is not None and worker.assembly.tasks for worker in workers):
            await asyncio.sleep(0.01)
    for worker in workers:
        worker.stop()
    await asyncio.gather(*ended)


async def total(app: streams.App) -> int:
    async with app.client() as client:
        return sum([count async for _, count in client.table("counts").items()])


async def send(app: streams.App, count: int) -> None:
    async with app.client() as client:
        await client.send_many("numbers", [(f"k{n}", n) for n in range(count)])


async def test_what_workers_had_that_have_ended_is_processed_too(tmp_path: Path) -> None:
    app = counting(tmp_path, leave_on_stop=False, heartbeat_interval_ms=50)
    await two_at_work_then_none(app)
    await send(app, 100)
    async with asyncio.timeout(30):  # less than a session
        ended = await Worker(app, Silent(), until_end=True).run()
    assert ended.records == 100
    assert await total(app) == 100


async def test_what_another_worker_has_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is gone, but its seat is taken, so that the group alone says when it is given up."""
    app = counting(tmp_path, leave_on_stop=False, heartbeat_interval_ms=50)
    await two_at_work_then_none(app)
    await send(app, 100)
    seat = take_seat(app.settings, 1)
    try:
        worker = Worker(app, Silent(), until_end=True)
        with caplog.at_level("INFO", "streams.worker"):
            ended = asyncio.ensure_future(worker.run())
            async with asyncio.timeout(30):
                while "goes on until other workers are" not in caplog.text:
                    await asyncio.sleep(0.01)
                assert worker.assembly is not None
                await remove_members(worker.assembly.transport.asks, app.id, [seat.instance_id])
                assert (await ended).records == 100
    finally:
        seat.release()
    assert await total(app) == 100
