"""Tasks whose agents wait: the others go on, and a commit is of whole turns."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import streams
from streams.errors import UserCodeError
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker
from streams.testing import Driver


def app_of(folder: Path, agent: Any, **options: Any) -> streams.App:
    app = streams.App("waits", data_dir=str(folder))
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=2)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    app.agent(numbers, name="agent", sink=[out], **options)(agent)
    return app


def keys(count: int) -> list[str]:
    """A key of each of two partitions, in turn."""
    from streams.partitioner import partition_for

    found = [[key for key in map(str, range(100)) if partition_for(key.encode(), 2) == p] for p in (0, 1)]
    return [found[number % 2][number // 2] for number in range(count)]


async def test_agents_of_several_partitions_wait_side_by_side(tmp_path: Path) -> None:
    together = asyncio.Barrier(2)

    async def agent(stream: Any) -> Any:
        async for number in stream:
            await together.wait()
            yield number

    app = app_of(tmp_path, agent)
    async with app.client() as client:
        await client.send_many("numbers", [(key, n) for n, key in enumerate(keys(10))])
        async with asyncio.timeout(20):
            await Worker(app, Silent(), until_end=True).run()
        assert sorted([record.value async for record in client.read("out")]) == list(range(10))


async def test_a_pipeline_goes_on_while_an_agent_waits_and_nothing_is_committed_by_halves(tmp_path: Path) -> None:
    go_on, seen = asyncio.Event(), asyncio.Event()

    async def agent(stream: Any) -> Any:
        async for number in stream:
            yield number
            await go_on.wait()

    app = app_of(tmp_path, agent)
    other = app.topic("other", key_type=str, value_type=int, partitions=1)
    other.stream().peek(lambda value: seen.set()).to("other-out")
    worker = Worker(app, Silent())
    async with app.client() as client, asyncio.timeout(20):
        await client.send("numbers", key="k", value=1)
        running = asyncio.ensure_future(worker.run())
        while worker.loop is None or not worker.loop.waits:
            await asyncio.sleep(0.001)
        await client.send("other", key="k", value=2)
        await seen.wait()
        assert [record async for record in client.read("other-out")] == []
        go_on.set()
        worker.stop()
        await running
        assert [record.value async for record in client.read("other-out")] == [2]
        assert [record.value async for record in client.read("out")] == [1]


async def test_lists_are_handed_over_before_a_commit_side_by_side(tmp_path: Path) -> None:
    together = asyncio.Barrier(2)

    async def agent(stream: Any) -> Any:
        async for numbers in stream.take(100):
            await together.wait()
            yield sum(numbers)

    app = app_of(tmp_path, agent)
    async with app.client() as client:
        await client.send_many("numbers", [(key, n) for n, key in enumerate(keys(10))])
        async with asyncio.timeout(20):
            await Worker(app, Silent(), until_end=True).run()
        assert sorted([record.value async for record in client.read("out")]) == [20, 25]


async def test_a_worker_that_is_cancelled_leaves_no_turn_behind(tmp_path: Path) -> None:
    async def agent(stream: Any) -> None:
        async for _ in stream:
            await asyncio.Event().wait()

    app = app_of(tmp_path, agent)
    worker = Worker(app, Silent())
    async with app.client() as client, asyncio.timeout(20):
        await client.send_many("numbers", [(key, 1) for key in keys(2)])
        running = asyncio.ensure_future(worker.run())
        while worker.loop is None or not worker.loop.waits:
            await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_in_the_driver_agents_sleep_side_by_side(tmp_path: Path) -> None:
    async def agent(stream: Any) -> Any:
        async for number in stream:
            await asyncio.sleep(3600)
            yield number

    app = app_of(tmp_path, agent)
    with Driver(app, partitions="declared") as driver:
        driver.pipe("numbers", [(key, n) for n, key in enumerate(keys(6))])
        assert sorted(record.value for record in driver.read("out")) == list(range(6))
        assert driver.clock.now_ms == 3 * 3_600_000


def test_in_the_driver_one_that_fails_ends_those_that_wait(tmp_path: Path) -> None:
    async def agent(stream: Any) -> Any:
        async for number in stream:
            await asyncio.sleep(number)
            if number == 1:
                raise ValueError("one")
            yield number

    app = app_of(tmp_path, agent)
    with Driver(app, partitions="declared") as driver:
        with pytest.raises(UserCodeError, match="ValueError: one"):
            driver.pipe("numbers", [(key, n + 1) for n, key in enumerate(keys(2))])
        assert driver.is_down and driver.clock.now_ms == 1_000
