"""Workers at places of their own, which follow each other's tasks: what moves has its tables there already."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import generate_latest

import streams
from streams.client import Client
from streams.observe.metrics import registry
from streams.runtime.copies import Copies
from streams.transport.contract import Fetched
from streams.transport.group.member import remove_members
from streams.transport.opening import open_transport
from tests.streams.runtime.at_work import Running

KEYS = 499
PARTITIONS = 4
STORES = ["rocksdb", "memory"]


def counting(place: str, **settings: Any) -> streams.App:
    app = streams.App(
        "follows", data_dir=place, commit_interval_ms=5, heartbeat_interval_ms=50, session_timeout_ms=6_000, **settings
    )
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=PARTITIONS)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    numbers.stream().group_by_key().count(name="counts").emit("update").to_stream().to(out)
    return app


def lags_of(worker: Running) -> dict[str, int]:
    """The tasks that it follows, and what it lacks of each."""
    return {} if worker.worker.assembly is None else worker.assembly.standbys.lags()


class Cluster:
    """Workers at places by name, and what goes in and out."""

    def __init__(self, folder: str, client: Client, broker: streams.App, settings: dict[str, Any]) -> None:
        self.running: list[Running] = []
        self._folder, self._client, self._broker, self._settings = folder, client, broker, settings
        self.sent = 0

    async def start(self, place: str) -> Running:
        transport, _ = await open_transport(self._broker.settings)
        self.running.append(Running(counting(f"{self._folder}/{place}", **self._settings), transport=transport))
        return self.running[-1]

    async def send(self, count: int) -> None:
        rows = [(f"k{n % KEYS}", n) for n in range(self.sent, self.sent + count)]
        self.sent += count
        await self._client.send_many("numbers", rows)

    async def results(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        async for record in self._client.read("out"):
            found.setdefault(record.key, []).append(record.value)
        return found

    async def processed(self) -> None:
        """Until there is a result for all that was sent, which are those of a single worker."""
        async with asyncio.timeout(40):
            while sum(map(len, (await self.results()).values())) < self.sent:
                self.look()
                await asyncio.sleep(0.05)
        expected = {f"k{k}": list(range(1, len(range(k, self.sent, KEYS)) + 1)) for k in range(KEYS)}
        assert await self.results() == expected

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(40):
            while not condition():
                self.look()
                await asyncio.sleep(0.01)

    def look(self) -> None:
        """Raises what ended a worker."""
        for one in self.running:
            if one.ended.done() and not one.ended.cancelled():
                one.ended.result()


async def caught_up(one: Running) -> None:
    """Until it has read what there is of the changelogs that it follows."""
    standbys, transport = one.assembly.standbys, one.assembly.transport
    async with asyncio.timeout(40):
        while True:
            followed = [*standbys._copies.by_task.values()]
            ends = await transport.latest({changelog.tp for each in followed for changelog in each.changelogs.values()})
            if all(
                restorer.position >= ends[each.changelogs[restorer.store].tp]
                for each in followed
                for restorer in standbys._copies._reading.restorers(each.task)
            ):
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def cluster(folder: str, **settings: Any) -> AsyncIterator[Cluster]:
    broker = counting(f"{folder}/broker")
    async with broker.client() as client:
        made = Cluster(folder, client, broker, settings)
        await made.send(0)
        yield made
        for one in made.running:
            if not one.ended.done():
                await one.stop()


@pytest.mark.parametrize("store", STORES)
async def test_a_killed_worker_is_replaced_by_its_standbys(folder: str, store: str) -> None:
    async with cluster(folder, store=store, num_standby_replicas=1) as app:
        first, second = await app.start("a"), await app.start("b")
        await app.until(lambda: len(first.tasks) == len(second.tasks) == 2)
        for _ in range(5):
            await app.send(1_000)
            await app.processed()
        await app.until(lambda: lags_of(first).keys() == second.tasks and lags_of(second).keys() == first.tasks)
        await caught_up(second)
        assert second.assembly.standbys.records > 500
        (followed, *_) = sorted(first.tasks)
        shown = generate_latest(registry(second.worker)).decode()
        assert f'streams_standby_lag_records{{task="{followed}"}} 0.0' in shown
        await app.send(100)
        name = first.assembly.name
        await first.crash()
        await remove_members(second.assembly.transport.asks, "follows", [name])  # as at the end of its session
        await app.until(lambda: len(second.tasks) == PARTITIONS)
        await app.processed()
        assert second.assembly.restore.records <= 400, "not what was there before"
        await app.send(100)
        await app.processed()


@pytest.mark.parametrize("store", STORES)
async def test_a_task_moves_when_it_is_warm_and_is_worked_on_until_then(
    folder: str, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, feed = asyncio.Event(), Copies._take

    async def waits(self: Copies, part: Fetched) -> None:
        await gate.wait()
        await feed(self, part)

    monkeypatch.setattr(Copies, "_take", waits)
    async with cluster(folder, store=store, acceptable_recovery_lag=50) as app:
        first = await app.start("a")
        await app.until(lambda: len(first.tasks) == PARTITIONS)
        await app.send(4_000)
        await app.processed()
        second = await app.start("b")
        await app.until(lambda: len(lags_of(second)) == 2)
        assert all(lag > 50 for lag in lags_of(second).values())
        await app.send(500)
        await app.processed()
        assert (len(first.tasks), second.tasks) == (PARTITIONS, set())
        gate.set()
        await app.until(lambda: len(first.tasks) == len(second.tasks) == 2)
        assert second.assembly.restore.records <= 100
        await app.send(500)
        await app.processed()
        assert lags_of(second) == {}


async def test_a_worker_that_comes_back_has_its_tables(folder: str) -> None:
    async with cluster(folder, leave_on_stop=True) as app:
        first, second = await app.start("a"), await app.start("b")
        await app.until(lambda: len(first.tasks) == len(second.tasks) == 2)
        await app.send(3_000)
        await app.processed()
        had = second.tasks
        await second.stop()
        await app.until(lambda: len(first.tasks) == PARTITIONS)
        await app.send(200)
        await app.processed()
        again = await app.start("b")
        await app.until(lambda: again.tasks == had)
        assert again.assembly.restore.records <= 400, "what was added meanwhile, with what it moved for"
        await app.send(200)
        await app.processed()


async def test_workers_of_one_place_follow_nothing_of_each_other(folder: str) -> None:
    async with cluster(folder, num_standby_replicas=1) as app:
        first, second = await app.start("a"), await app.start("a")
        await app.until(lambda: len(first.tasks) == len(second.tasks) == 2)
        await app.send(1_000)
        await app.processed()
        assert lags_of(first) == lags_of(second) == {}
        third = await app.start("b")
        await app.until(lambda: len(third.tasks | lags_of(third).keys()) == PARTITIONS)
        await second.stop()
        await app.until(lambda: len(first.tasks | third.tasks) == PARTITIONS)
        await app.send(500)
        await app.processed()


async def test_what_a_dead_worker_was_committing_holds_up_nobody(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is sent but the end of the transaction, which would time out in a minute."""
    async with cluster(folder, num_standby_replicas=1, transaction_timeout_ms=60_000) as app:
        second, first = await app.start("b"), await app.start("a")
        await app.until(lambda: len(first.tasks) == len(second.tasks) == 2)
        await app.send(1_000)
        await app.processed()
        held = asyncio.Event()

        async def never(*_: object) -> None:
            held.set()
            await asyncio.get_running_loop().create_future()

        async def nothing() -> None: ...

        monkeypatch.setattr(first.assembly.producer, "commit", never)
        monkeypatch.setattr(first.assembly.producer, "close", nothing)
        await app.send(500)
        await asyncio.wait_for(held.wait(), 30)
        name = first.assembly.name
        await first.crash()
        async with asyncio.timeout(20):
            await remove_members(second.assembly.transport.asks, "follows", [name])
            await app.processed()
