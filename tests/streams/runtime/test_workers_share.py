"""Several workers of an app: tasks go from one to the other at work, and what comes of it is what one would give."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import streams
from streams.runtime.observer import Silent, Stopped
from streams.runtime.worker import Worker

KEYS = 23


def counting(folder: str, **settings: Any) -> streams.App:
    """A table, one behind a repartition, and an agent with a table."""
    app = streams.App("shares", data_dir=folder, commit_interval_ms=5, heartbeat_interval_ms=50, **settings)
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=4)
    by_key = app.topic("by-key", key_type=str, value_type=int, partitions=1)
    by_rest = app.topic("by-rest", key_type=str, value_type=int, partitions=1)
    numbers.stream().group_by_key().count(name="counts").emit("update").to_stream().to(by_key)
    moved = numbers.stream().group_by(lambda value: f"r{value % 7}", name="rest", key_type=str)
    moved.reduce(lambda total, value: total + value, name="totals").emit("update").to_stream().to(by_rest)
    return app


class Running:
    """A worker at work in this event loop."""

    def __init__(self, app: streams.App, **options: Any) -> None:
        self.worker = Worker(app, Silent(), **options)
        self.ended: asyncio.Future[Stopped] = asyncio.ensure_future(self.worker.run())

    @property
    def tasks(self) -> set[str]:
        assembly = self.worker.assembly
        return set() if assembly is None else {task.id for task in assembly.tasks}

    async def stop(self) -> Stopped:
        self.worker.stop()
        return await asyncio.wait_for(self.ended, 30)

    async def crash(self) -> None:
        """Ends as by kill -9, as far as that goes within a process: nothing is committed, nobody is told."""
        assembly = self.worker.assembly
        assert assembly is not None and assembly.membership is not None
        assembly.membership.stays = True
        self.ended.cancel()
        await asyncio.gather(self.ended, return_exceptions=True)


async def until(condition: Callable[[], bool], *running: Running) -> None:
    """Until it is so; raises what ended a worker."""
    async with asyncio.timeout(30):
        while not condition():
            for one in running:
                if one.ended.done():
                    one.ended.result()
            await asyncio.sleep(0.01)


async def send(app: streams.App, start: int, stop: int) -> None:
    async with app.client() as client:
        await client.send_many("numbers", [(f"k{n % KEYS}", n) for n in range(start, stop)])


async def results(app: streams.App, topic: str) -> dict[str, list[int]]:
    """What was written of each key, in order."""
    found: dict[str, list[int]] = {}
    async with app.client() as client:
        async for record in client.read(topic):
            found.setdefault(record.key, []).append(record.value)
    return found


async def processed(app: streams.App, total: int, *running: Running) -> None:
    async with asyncio.timeout(60):
        while sum(map(len, (await results(app, "by-rest")).values())) < total:
            for one in running:
                if one.ended.done():
                    one.ended.result()
            await asyncio.sleep(0.05)


async def check(app: streams.App, total: int) -> None:
    """Each number was counted once: of a key in order, of a rest in any order."""
    expected = {f"k{k}": list(range(1, len(range(k, total, KEYS)) + 1)) for k in range(KEYS)}
    assert await results(app, "by-key") == {key: rows for key, rows in expected.items() if rows}
    rests = await results(app, "by-rest")
    assert {key: rows[-1] for key, rows in rests.items()} == {f"r{r}": sum(range(r, total, 7)) for r in range(7)}
    assert sum(map(len, rests.values())) == total


async def test_a_second_worker_gets_its_share_and_gives_it_back(folder: str) -> None:
    first = Running(counting(folder))
    await until(lambda: len(first.tasks) == 8, first)
    await send(first.worker.app, 0, 200)
    second = Running(counting(folder))
    await until(lambda: len(first.tasks) == len(second.tasks) == 4, first, second)
    assert not first.tasks & second.tasks
    await send(first.worker.app, 200, 400)
    await processed(first.worker.app, 400, first, second)
    await second.stop()
    await until(lambda: len(first.tasks) == 8, first)
    await send(first.worker.app, 400, 600)
    await processed(first.worker.app, 600, first)
    await first.stop()
    await check(counting(folder), 600)
