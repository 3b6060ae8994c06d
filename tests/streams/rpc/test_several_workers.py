"""Several workers of an app: they ask each other, one of them leads, and each knows where a key is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import broker_embedded
import streams
from streams.errors import AskTimeoutError
from tests.streams.runtime.at_work import Running, until

Make = Callable[[], streams.App]


@pytest.fixture(params=["folder", "socket"])
def settings(request: pytest.FixtureRequest, folder: str) -> Iterator[dict[str, Any]]:
    own = {"commit_interval_ms": 5, "heartbeat_interval_ms": 50}
    if request.param == "folder":
        yield {"data_dir": folder, **own}
        return
    with broker_embedded.running() as broker:
        yield {"data_dir": folder, "broker": f"kafka://{broker.bootstrap_servers}", **own}


def make_app(settings: dict[str, Any]) -> streams.App:
    app = streams.App("shop", **settings)
    orders = app.topic("orders", key_type=str, value_type=int, partitions=4)
    sold = app.topic("sold", key_type=str, value_type=list[int], partitions=1)
    airlines = app.topic("airlines", key_type=str, value_type=str, partitions=3)
    airlines.global_table()
    total = app.Table("total", key_type=str, value_type=int, default=int, partitions=4)

    @app.agent(app.topic("add", key_type=str, value_type=int, partitions=4), tables=[total])
    async def add(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for key, number in stream.items():
            total[key] += number
            yield total[key]

    @app.agent(orders, sink=[sold])
    async def sell(stream: streams.Stream[int]) -> AsyncIterator[list[int]]:
        async for number in stream:
            yield [number, await add.ask(1, key=f"n{number}")]

    return app


async def test_agents_ask_across_workers(settings: dict[str, Any]) -> None:
    first, second = Running(make_app(settings)), Running(make_app(settings))
    await until(lambda: len(first.tasks) == len(second.tasks) == 4, first, second)
    async with make_app(settings).client() as client, asyncio.timeout(60):
        await client.send_many("orders", [(f"k{n}", n) for n in range(300)])
        while len(found := [record.value async for record in client.read("sold")]) < 300:
            await asyncio.sleep(0.02)
        assert sorted(found) == [[n, 1] for n in range(300)]
        answers = await client.agent("add").kvjoin([(f"n{n}", 1) for n in range(300)])
        assert answers == [2] * 300
    await first.stop()
    await second.stop()


async def test_answers_are_ones_own_while_workers_come_go_and_crash(folder: str) -> None:
    """Each request is a number of its own, and so is its answer; who was asked dies again and again."""
    settings = {"data_dir": folder, "commit_interval_ms": 5, "heartbeat_interval_ms": 20}
    dice = random.Random(7)

    def echoing() -> streams.App:
        app = streams.App("echo", **settings)

        @app.agent(app.topic("echo", key_type=str, value_type=int, partitions=4))
        async def echo(stream: streams.Stream[int]) -> AsyncIterator[int]:
            async for number in stream:
                await asyncio.sleep(0.002 * dice.random())
                yield 10 * number

        return app

    workers = [Running(echoing()), Running(echoing())]
    await until(lambda: sum(len(one.tasks) for one in workers) == 4, *workers)
    async with echoing().client() as client, asyncio.timeout(60):
        echo = client.agent("echo")
        answers = [echo.ask(n, key=f"k{n}", timeout=20) for n in range(400)]
        for at in (0, 1, 0):
            await asyncio.sleep(0.05)
            await workers[at].crash()
            workers[at] = Running(echoing())
        found = await asyncio.gather(*answers, return_exceptions=True)
        right = [answer for n, answer in enumerate(found) if answer == 10 * n]
        assert len(right) + sum(isinstance(answer, AskTimeoutError) for answer in found) == 400
        assert len(right) > 300
        assert await echo.ask(-1) == -10
    for one in workers:
        await one.stop()


async def test_one_leads_and_another_takes_over(folder: str) -> None:
    beats: list[tuple[str, int]] = []

    def leading(name: str) -> Running:
        app = make_app({"data_dir": folder, "commit_interval_ms": 5, "heartbeat_interval_ms": 50})

        @app.timer(0.01, on_leader=True)
        async def beat() -> None:
            beats.append((name, 0))

        @app.timer(0.01)
        async def everywhere() -> None:
            beats.append((name, 1))

        return Running(app)

    first = leading("first")
    await until(lambda: ("first", 0) in beats, first)
    second = leading("second")
    await until(lambda: ("second", 1) in beats and len(second.tasks) == 4, first, second)
    assert first.app.is_leader() != second.app.is_leader()
    assert ("second", 0) not in beats or ("first", 0) in beats
    leader, other = (first, second) if first.app.is_leader() else (second, first)
    beats.clear()
    await leader.stop()
    name = "first" if other is first else "second"
    await until(lambda: (name, 0) in beats, other)
    await other.stop()


async def test_each_worker_knows_where_a_key_is_and_has_all_of_a_global_table(settings: dict[str, Any]) -> None:
    first, second = Running(make_app(settings)), Running(make_app(settings))
    await until(lambda: len(first.tasks) == len(second.tasks) == 4, first, second)
    async with make_app(settings).client() as client, asyncio.timeout(60):
        rows = {f"{a}{b}": f"airline {a}{b}" for a in "ABC" for b in "ABC"}
        await client.send_many("airlines", list(rows.items()))
        await client.agent("add").kvjoin([(f"n{n}", 1) for n in range(40)])
        for one in (first, second):
            await until(lambda table=one.app.tables["airlines"]: dict(table.items()) == rows, one)  # type: ignore[misc]
            assert one.app.locate("airlines", "AA").here
        places: set[str] = set()
        for n in range(40):
            here, there = first.app.locate("total", f"n{n}"), second.app.locate("total", f"n{n}")
            assert (here.worker, here.host, here.partition) == (there.worker, there.host, there.partition)
            assert here.here != there.here
            assert (f"add-{here.partition}" in first.tasks) == here.here
            places.add(here.worker)
        assert len(places) == 2
    await first.stop()
    await second.stop()
