"""Tasks and sources that come to a running worker and leave it, while the others go on."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import streams
from broker_embedded import records
from state.backends.rocks import RocksBackend
from streams.runtime.assembling import assemble
from streams.runtime.conditions import Conditions
from streams.runtime.restore import Restore
from streams.runtime.state_folders import state_folder
from streams.transport.contract import TopicPartition
from streams.transport.opening import open_transport
from tests.streams.runtime.by_hand import ByHand, counting, counts, expected, send


class Bench(ByHand):
    @property
    def tasks(self) -> list[str]:
        return [task.id for task in self.assembly.tasks]

    async def leave(self, *names: str) -> None:
        await self.loop.commit()
        await self.assembly.work.give_up(names)


@asynccontextmanager
async def bench(app: streams.App) -> AsyncIterator[Bench]:
    assembly = await assemble(app, None, Conditions())
    made = Bench(app, assembly)
    try:
        await assembly.begin(made.told.append)
        yield made
    finally:
        assert await assembly.close() == []


async def test_one_leaves_and_comes_back_while_the_others_go_on(folder: str) -> None:
    app = counting("moves", folder)
    async with bench(app) as worker:
        names = worker.assembly.names
        await worker.arrive(*names)
        assert worker.tasks == names
        await send(app, 0, 100)
        await worker.work()
        await worker.leave(names[1])
        assert worker.tasks == [names[0], names[2]]
        RocksBackend(state_folder(app.settings) / names[1]).close()  # nobody has it open
        await send(app, 100, 200)
        await worker.work()
        await worker.arrive(names[1])
        assert worker.tasks == names
        assert worker.told == []  # its stores are whole
        await worker.work()
        assert worker.assembly.totals().records == 200
    assert await counts(app) == expected(200)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Event]:
    """Restores read on when it is set."""
    gate, read = asyncio.Event(), Restore._read

    async def waits(self: Restore, behind: Any) -> None:
        await gate.wait()
        await read(self, behind)

    monkeypatch.setattr(Restore, "_read", waits)
    return gate


async def test_a_restore_goes_on_beside_the_others(folder: str, gate: asyncio.Event) -> None:
    app = counting("moves", folder, "memory")
    gate.set()
    async with bench(app) as worker:
        first, *rest = worker.assembly.names
        await worker.arrive(first, *rest)
        await send(app, 0, 100)
        await worker.work()
        await worker.leave(first)
        gate.clear()
        worker.assembly.work.arrivals.begin([first])
        await send(app, 100, 200)
        await worker.work()
        assert worker.assembly.work.coming
        assert not worker.assembly.work.open_ready()
        assert worker.assembly.totals().records > 100
        commits = worker.assembly.commits
        gate.set()
        await worker.arrived()
        await worker.work()
        assert worker.assembly.commits > commits
        assert worker.told[-1].done
    assert await counts(app) == expected(200)


async def test_one_is_taken_away_while_it_is_restored(folder: str, gate: asyncio.Event) -> None:
    app = counting("moves", folder, "memory")
    gate.set()
    async with bench(app) as worker:
        first, second, third = worker.assembly.names
        await worker.arrive(first, second, third)
        await send(app, 0, 100)
        await worker.work()
        await worker.leave(first, second)
        gate.clear()
        worker.assembly.work.arrivals.begin([first, second])
        await worker.work()
        await worker.leave(first)
        gate.set()
        await worker.arrived()
        assert worker.tasks == [second, third]
        await send(app, 100, 200)
        await worker.work()
        await worker.arrive(first)
        await worker.work()
    assert await counts(app) == expected(200)


async def test_what_left_is_not_held_in_memory(folder: str) -> None:
    app = counting("moves", folder)
    async with bench(app) as worker:
        names = worker.assembly.names
        await worker.arrive(*names)
        await send(app, 0, 100)
        await worker.work()
        left = weakref.ref(worker.assembly.tasks[0])
        await worker.leave(names[0])
        gc.collect()
        assert left() is None


async def test_what_is_decided_and_has_no_marker_yet_is_waited_for(folder: str) -> None:
    """Another worker has ended its transaction; the changelog has not been told when its task comes to us."""
    app = counting("moves", folder, "memory")
    async with bench(app) as worker:
        first = worker.assembly.names[0]
        await worker.arrive(*worker.assembly.names)
        await send(app, 0, 100)
        await worker.work()
        await worker.leave(first)
        transport, _ = await open_transport(app.settings)
        other = transport.producer(transactional_id="another")
        await other.start()
        await other.begin()
        await other.send(TopicPartition("moves-counts-changelog", 0), records.encode([b"late"], [b"7"], [1]))
        worker.assembly.work.arrivals.begin([first])
        for _ in range(100):
            await asyncio.sleep(0)
        assert worker.assembly.work.coming
        await other.commit()
        await worker.arrived()
        assert worker.assembly.tasks[0].stores.get("counts", b"late") == (b"7", 1)
        await transport.stop()


async def test_a_source_goes_on_where_it_was(folder: str) -> None:
    app = streams.App("moves", data_dir=folder, commit_interval_ms=1)
    numbers = app.topic("numbers", key_type=str, value_type=int)
    begun: list[int] = []

    @app.source(numbers)
    def feed(position: int = 0) -> Iterator[Any]:
        begun.append(position)
        for n in range(position, 1_000):
            yield streams.Position(n + 1), "k", n

    seen: list[int] = []
    numbers.stream().for_each(seen.append)
    async with bench(app) as worker:
        task, source = worker.assembly.names
        await worker.arrive(task, source)
        await worker.loop.round()
        await worker.loop.round()
        await worker.leave(source)
        assert worker.assembly.ingests == []
        await worker.work()
        await worker.arrive(source)
        await worker.work()
        assert worker.assembly.input.at_end()
        committed = await worker.assembly.transport.committed("moves", [TopicPartition("moves-feed-position", 0)])
    assert len(begun) == 2
    assert seen == list(range(1_000))
    assert all(committed.values())  # so that the group knows who feeds


async def test_a_place_at_the_end_is_kept_though_nothing_has_come(folder: str) -> None:
    """Who begins at the end of a topic, and leaves before the first record, has begun all the same."""
    app = streams.App("moves", data_dir=folder, commit_interval_ms=1)
    numbers = app.topic("numbers", key_type=str, value_type=int, start="end")
    seen: list[int] = []
    numbers.stream().for_each(seen.append)
    async with bench(app) as worker:
        (task,) = worker.assembly.names
        await send(app, 0, 5)
        await worker.arrive(task)
        await worker.leave(task)
        await send(app, 5, 8)
        await worker.arrive(task)
        await worker.work()
    assert seen == [5, 6, 7]
