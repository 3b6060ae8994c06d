"""Agents ask each other over Apache Kafka, across workers that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import streams
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker
from tests.cluster.kafka_cluster import KafkaCluster

pytestmark = pytest.mark.slow

COUNT = 200


def shop(cluster: KafkaCluster, folder: Path) -> streams.App:
    app = streams.App(
        "asks",
        broker=f"kafka://{cluster.bootstrap}",
        data_dir=str(folder),
        commit_interval_ms=50,
        heartbeat_interval_ms=200,
    )
    orders = app.topic("asks-orders", key_type=str, value_type=int, partitions=4)
    sold = app.topic("asks-sold", key_type=str, value_type=list[int], partitions=1)
    total = app.Table("total", key_type=str, value_type=int, default=int, partitions=4)

    @app.agent(app.topic("asks-add", key_type=str, value_type=int, partitions=4), tables=[total], name="add")
    async def add(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for key, number in stream.items():
            total[key] += number
            yield total[key]

    @app.agent(orders, sink=[sold], name="sell")
    async def sell(stream: streams.Stream[int]) -> AsyncIterator[list[int]]:
        async for number in stream:
            yield [number, await add.ask(number, key=f"n{number}")]

    return app


async def until(condition: Callable[[], bool], *running: asyncio.Future[Any]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            for one in running:
                if one.done():
                    one.result()
            await asyncio.sleep(0.02)


async def test_agents_ask_across_workers(one_broker: KafkaCluster, tmp_path: Path) -> None:
    apps = [shop(one_broker, tmp_path / name) for name in ("first", "second")]
    workers = [Worker(app, Silent()) for app in apps]
    running = [asyncio.ensure_future(worker.run()) for worker in workers]
    await until(lambda: all(one.assembly is not None and len(one.assembly.tasks) == 4 for one in workers), *running)
    assert [app.is_leader() for app in apps].count(True) == 1
    async with shop(one_broker, tmp_path / "client").client() as client, asyncio.timeout(90):
        await client.send_many("asks-orders", [(f"k{n}", n) for n in range(COUNT)])
        while len(found := [record.value async for record in client.read("asks-sold")]) < COUNT:
            await asyncio.sleep(0.1)
        assert sorted(found) == [[n, n] for n in range(COUNT)]
        answers = asyncio.ensure_future(client.agent("add").kvjoin([(f"n{n}", 0) for n in range(COUNT)]))
        workers[0].stop()  # its tasks go to the other one, which answers what it has not
        assert await answers == list(range(COUNT))
        await running[0]
        await until(apps[1].is_leader, running[1])
        assert await client.agent("add").ask(1, key="n7") == 8
        topic = client.agent("add")._asker.topic
        assert topic in await client.admin.list_topics()
    workers[1].stop()
    await running[1]
    async with shop(one_broker, tmp_path / "client").client() as client:
        assert not [name for name in await client.admin.list_topics() if name.endswith("-reply")]
