"""`idle_after_ms`: a partition without news no longer holds back the windows behind a repartition."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import streams
from streams.client import Client
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker

MEMORY_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None
AFTER_MS = 5_000


class Live:
    """A worker that runs, over a clock that only the test moves."""

    def __init__(self, app: streams.App, client: Client) -> None:
        self.client = client
        self.now_ms = 1_000_000
        self.worker = Worker(app, Silent(), now_ms=lambda: self.now_ms)

    async def send(self, *rows: tuple[int, int]) -> None:
        """(partition, time in s) pairs."""
        for partition, time in rows:
            await self.client.send("numbers", key="k", value=time, timestamp=time * 1_000, partition=partition)
        await self.settle()

    async def pass_ms(self, ms: int) -> None:
        self.now_ms += ms
        assembly = self.worker.assembly
        assert assembly is not None
        assembly.woken.set()
        await self.settle()

    async def settle(self) -> None:
        """Until everything is processed and committed."""
        while (assembly := self.worker.assembly) is None or not assembly.queue_of:
            await asyncio.sleep(0)
        quiet = 0
        while quiet < 20:
            await asyncio.sleep(0)
            busy = assembly.commit.has_news() or not all(task.drained() for task in assembly.tasks)
            tps = [queue.tp for task in assembly.tasks for queue in task.queues]
            ends = await assembly.transport.latest(tps)
            behind = any(ends[queue.tp] > queue.consumed for task in assembly.tasks for queue in task.queues)
            quiet = 0 if busy or behind else quiet + 1

    async def windows(self) -> list[int]:
        """The starts (s) of the windows that have left."""
        return [record.value async for record in self.client.read("closed")]


def windowed(folder: str, **settings: Any) -> streams.App:
    app = streams.App("idle", data_dir=folder, store="memory", **settings)
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=2)
    counts = (
        numbers.stream()
        .group_by(lambda value: "all", name="all", key_type=str)
        .windowed_by(streams.TumblingWindow("10s"))
        .count(name="counts")
        .emit("close")
    )
    closed = app.topic("closed", key_type=str, value_type=int, partitions=1)
    counts.to_stream().map(lambda window, count: ("w", window.start // 1_000), key_type=str).to(closed)
    return app


@asynccontextmanager
async def running(app: streams.App) -> AsyncIterator[Live]:
    async with app.client() as client:
        live = Live(app, client)
        work = asyncio.create_task(live.worker.run())
        try:
            yield live
        finally:
            live.worker.stop()
            await work


async def test_a_partition_that_goes_idle_no_longer_holds_windows_back() -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK) as folder:
        async with running(windowed(folder, idle_after_ms=AFTER_MS)) as live:
            await live.send((0, 1), (1, 2), (1, 50))
            assert await live.windows() == []  # partition 0 may still have records of the first window
            await live.pass_ms(AFTER_MS - 1)
            await live.send((1, 51))
            assert await live.windows() == []
            await live.pass_ms(1)
            assert await live.windows() == [0]
            await live.send((0, 5))  # too late, now
            assert await live.windows() == [0]
            assert live.worker.assembly is not None
            assert live.worker.assembly.totals().dropped == {("counts", "late"): 1}


async def test_a_partition_that_comes_back_holds_windows_back_again() -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK) as folder:
        async with running(windowed(folder, idle_after_ms=AFTER_MS)) as live:
            await live.send((0, 1), (1, 2), (1, 50))
            await live.pass_ms(AFTER_MS)
            assert await live.windows() == [0]
            await live.send((0, 52), (1, 90))
            assert await live.windows() == [0]  # 50 to 60 is still open for partition 0
            await live.pass_ms(AFTER_MS)
            assert await live.windows() == [0, 50]


@pytest.mark.parametrize("idle_after_ms", [0, AFTER_MS])
async def test_nobody_is_idle_in_a_replay(idle_after_ms: int) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK) as folder:
        app = windowed(folder, idle_after_ms=idle_after_ms)
        async with app.client() as client:
            for partition, time in [(0, 1), (1, 2), (1, 50)]:
                await client.send("numbers", key="k", value=time, timestamp=time * 1_000, partition=partition)
            clock = iter(range(0, 10**9, 10**6))
            await Worker(app, Silent(), until_end=True, now_ms=lambda: next(clock)).run()
            assert [record async for record in client.read("closed")] == []
