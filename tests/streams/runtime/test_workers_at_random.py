"""Workers come, stop, die, are given up and lose the outcome of commits, at random: what comes of it is what plain
Python gives, each record once.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

import streams
from broker_embedded.errors import KafkaStorageError
from broker_embedded.faults import Fault, Faults
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker
from streams.transport.group.member import remove_members

ROWS = 2_000
CHUNK = 20
"""The source pauses after so many rows."""
END_TXN = 26


def rows() -> list[tuple[str, int]]:
    return [(f"k{n * 7919 % 31}", n * 104_729 % 1_000) for n in range(ROWS)]


def app_in(folder: str) -> streams.App:
    """A source, a table, windows behind a repartition, an agent with a table behind another one."""
    app = streams.App(
        "random", data_dir=folder, commit_interval_ms=2, heartbeat_interval_ms=40, session_timeout_ms=6_000
    )
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=3)
    changes = app.topic("changes", key_type=str, value_type=int, partitions=1)
    tens = app.topic("tens", key_type=str, value_type=list[int], partitions=1)
    seen = app.topic("seen", key_type=str, value_type=list[int], partitions=1)
    by_parity = app.Table("by-parity", key_type=str, value_type=int, default=int, partitions=2)

    @app.source(numbers)
    async def feed(position: int = 0) -> AsyncIterator[Any]:
        for n, (key, value) in enumerate(rows()[position:], start=position):
            if n % CHUNK == 0:
                await asyncio.sleep(0.005)
            yield streams.Position(n + 1), key, value, n * 10

    numbers.stream().group_by_key().reduce(lambda total, value: total + value, name="sums").emit(
        "update"
    ).to_stream().to(changes)
    grouped = numbers.stream().group_by(lambda value: f"t{value // 100}", name="by-ten", key_type=str)
    windows = grouped.windowed_by(streams.TumblingWindow("1s", grace="1h")).count(name="windows").emit("update")
    windows.to_stream().map(lambda window, count: (window.key, [window.start, count])).to(tens)

    @app.agent(numbers, sink=[seen], group_by=lambda value: "even" if value % 2 == 0 else "odd")
    async def watch(stream: streams.Stream[int]) -> AsyncIterator[Any]:
        async for key, value in stream.items():
            by_parity[key] += 1
            yield [value, by_parity[key]]

    return app


class Group:
    """The workers of the app, up to three at a time."""

    def __init__(self, folder: str, seed: int) -> None:
        self._folder = folder
        self._draw = Random(seed)
        self._workers: list[tuple[Worker, asyncio.Future[Any]]] = []
        self.deeds: list[str] = []

    async def act(self) -> None:
        deeds = ["join"] * (3 - len(self._workers)) + ["stop", "crash", "kill", "expel", "lose"] * bool(self._workers)
        deed = self._draw.choice(deeds)
        self.deeds.append(deed)
        if deed == "join":
            worker = Worker(app_in(self._folder), Silent())
            self._workers.append((worker, asyncio.ensure_future(worker.run())))
        else:
            await getattr(self, f"_{deed}")(*self._draw.choice(self._workers))
        await asyncio.sleep(self._draw.uniform(0, 0.4))
        for _, running in self._workers:
            if running.done():
                running.result()

    async def _stop(self, worker: Worker, running: asyncio.Future[Any]) -> None:
        self._workers.remove((worker, running))
        worker.stop()
        await asyncio.wait_for(running, 30)

    async def _crash(self, worker: Worker, running: asyncio.Future[Any]) -> None:
        """Ends without a commit and without a word."""
        self._workers.remove((worker, running))
        while worker.assembly is None or worker.assembly.membership is None:
            await asyncio.sleep(0.01)
        worker.assembly.membership.stays = True
        running.cancel()
        await asyncio.wait([running])

    async def _kill(self, worker: Worker, running: asyncio.Future[Any]) -> None:
        """Leaves its transaction open as well, for who has its seat next."""

        async def nothing() -> None: ...

        while worker.assembly is None:
            await asyncio.sleep(0.01)
        worker.assembly.producer.close = nothing  # type: ignore[method-assign]
        await self._crash(worker, running)

    async def _expel(self, worker: Worker, running: asyncio.Future[Any]) -> None:
        assembly = worker.assembly
        if assembly is not None and assembly.membership is not None:
            name = assembly.membership._name
            await remove_members(assembly.transport.asks, "random", [name])

    async def _lose(self, worker: Worker, running: asyncio.Future[Any]) -> None:
        if worker.assembly is not None:
            faults: Any = Faults()
            faults.add(Fault(END_TXN, error=KafkaStorageError.info.code, after=self._draw.random() < 0.5))
            worker.assembly.transport.cluster.faults = faults  # type: ignore[attr-defined]

    async def finish(self, done: Any) -> None:
        """Two workers bring it to its end."""
        while len(self._workers) < 2:
            worker = Worker(app_in(self._folder), Silent())
            self._workers.append((worker, asyncio.ensure_future(worker.run())))
        async with asyncio.timeout(60):
            while not await done():
                for _, running in self._workers:
                    if running.done():
                        running.result()
                await asyncio.sleep(0.1)
        for one in list(self._workers):
            await self._stop(*one)


async def read(app: streams.App, topic: str) -> list[tuple[str, Any]]:
    async with app.client() as client:
        return [(record.key, record.value) async for record in client.read(topic)]


def expected_changes() -> dict[str, list[int]]:
    totals: Counter[str] = Counter()
    found: dict[str, list[int]] = {}
    for key, value in rows():
        totals[key] += value
        found.setdefault(key, []).append(totals[key])
    return found


def expected_windows() -> list[tuple[str, list[int]]]:
    counts: Counter[tuple[str, int]] = Counter()
    found = []
    for n, (_, value) in enumerate(rows()):
        key, start = f"t{value // 100}", n * 10 // 1_000 * 1_000
        counts[key, start] += 1
        found.append((key, [start, counts[key, start]]))
    return sorted(found)


async def run(folder: str, seed: int, deeds: int) -> None:
    group, app = Group(folder, seed), app_in(folder)

    async def done() -> bool:
        return len(await read(app, "seen")) >= ROWS and len(await read(app, "tens")) >= ROWS

    try:
        for _ in range(deeds):
            await group.act()
        await group.finish(done)
    except BaseException:
        print(seed, group.deeds)
        raise
    changes: dict[str, list[int]] = {}
    for key, value in await read(app, "changes"):
        changes.setdefault(key, []).append(value)
    assert changes == expected_changes(), group.deeds
    assert sorted(await read(app, "tens")) == expected_windows(), group.deeds
    seen: dict[str, list[list[int]]] = {}
    for key, value in await read(app, "seen"):
        seen.setdefault(key, []).append(value)
    for key, odd in (("even", 0), ("odd", 1)):
        values = [value for _, value in rows() if value % 2 == odd]
        assert [count for _, count in seen[key]] == list(range(1, len(values) + 1)), group.deeds
        assert sorted(value for value, _ in seen[key]) == sorted(values), group.deeds


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
async def test_at_random(folder: str, seed: int) -> None:
    await run(folder, seed, 12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 100 + int(os.environ.get("WORKER_SEEDS", "2"))))
async def test_at_random_for_longer(folder: str, seed: int) -> None:
    await run(folder, seed, 40)
