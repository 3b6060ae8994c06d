"""The client in a folder and over a socket alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import broker_embedded
import streams
from broker_embedded import Listener
from streams.client import Client
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker
from streams.transport.contract import ConnectionLostError, TopicPartition, UnknownTopicError
from streams.transport.kafka import KafkaTransport

Open = Callable[..., Client]


async def values(client: Client, topic: Any, **options: Any) -> list[Any]:
    return [record.value async for record in client.read(topic, **options)]


async def test_topics_that_nobody_declares_are_bytes(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        sent = await client.send(topic, key=b"k", value=b"v", headers=[("h", b"1"), ("n", None)], timestamp=7)
        (record,) = [record async for record in client.read(topic)]
        assert record == (b"k", b"v", 7, [("h", b"1"), ("n", None)], *sent)


async def test_records_that_were_read_are_sent_on(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        for number in range(3):
            await client.send(topic, key=b"k%d" % number, value=b"v", timestamp=number, headers=[("n", b"%d" % number)])
        copied = f"{topic}-copied"
        await client.send_many(copied, [record async for record in client.read(topic)])
        found = [record[:4] async for record in client.read(copied)]
        assert found == [record[:4] async for record in client.read(topic)]


async def test_many_partitions_at_once(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        await client.admin.create_topic(topic, partitions=8)
        rows = [(b"k%d" % number, b"%d" % number) for number in range(2_000)]
        sent = await client.send_many(topic, rows)
        assert len(set(sent)) == len(rows) and {one.partition for one in sent} == set(range(8))
        assert sorted(await values(client, topic)) == sorted(value for _, value in rows)


async def test_following_a_topic_that_is_not_there_yet(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        assert await values(client, topic) == []
        waiting = asyncio.ensure_future(anext(client.read(topic, follow=True)))
        await asyncio.sleep(0)
        await client.send(topic, value=b"first")
        assert (await waiting).value == b"first"


async def test_a_topic_that_is_made_anew_with_fewer_partitions(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        await client.admin.create_topic(topic, partitions=4)
        await client.send_many(topic, [(b"%d" % number, b"old") for number in range(20)])
        await client.admin.delete_topics(topic)
        await client.admin.create_topic(topic, partitions=1)
        outcomes = await asyncio.gather(
            *[client.send(topic, key=b"%d" % number, value=b"new") for number in range(20)], return_exceptions=True
        )
        lost = [outcome for outcome in outcomes if isinstance(outcome, UnknownTopicError)]
        assert len(lost) < 20
        await client.send_many(topic, [(b"%d" % number, b"new") for number in range(20)])
        assert set(await values(client, topic)) == {b"new"}


async def test_retention_is_passed_over(open_client: Open, topic: str) -> None:
    async with open_client() as client:
        await client.send_many(topic, [b"%d" % number for number in range(3)])
        reading = client.read(topic, follow=True)
        await anext(reading)
        await anext(reading)
        await anext(reading)
        waiting = asyncio.ensure_future(anext(reading))
        await client.send_many(topic, [b"gone"])
        assert (await waiting).value == b"gone"
        await client.admin.delete_records({TopicPartition(topic, 0): 4})
        await client.send_many(topic, [b"kept"])
        assert (await anext(reading)).value == b"kept"
        await reading.aclose()


async def test_tables(settings: dict[str, Any], topic: str) -> None:
    app = streams.App(f"app-of-{topic}", **settings)
    app.topic(topic, key_type=str, value_type=int, partitions=2).table(name="latest")
    async with app.client() as client:
        await client.send_many(topic, [(f"k{number}", number) for number in range(6)])
        table = client.table("latest")
        assert await table.get("k1") == 1
        assert [row async for row in table.range("k2", "k4")] == [("k2", 2), ("k3", 3)]
        await client.send(topic, key="k1", value=None)
        assert await table.get("k1", "gone") == "gone"
        assert len([row async for row in table.items()]) == 5


async def test_a_worker_on_a_broker_of_its_own(address: str, folder: str, topic: str) -> None:
    app = streams.App(f"app-of-{topic}", broker=f"kafka://{address}", data_dir=folder)
    source = app.topic(topic, key_type=str, value_type=int, partitions=2)
    source.stream().group_by_key().count(name="counts")
    async with app.client() as client:
        await client.send_many(topic, [(f"k{number % 3}", number) for number in range(9)])
        await Worker(app, Silent(), until_end=True).run()
        assert [row async for row in client.table("counts").items()] == [("k0", 3), ("k1", 3), ("k2", 3)]


# The broker is away


async def test_what_is_sent_while_the_broker_is_away(tmp_path: Path) -> None:
    with broker_embedded.running(tmp_path) as broker:
        port = broker.broker.servers[0].port
        client = await Client(f"kafka://{broker.bootstrap_servers}").__aenter__()
        await client.send("numbers", value=b"0")
        reading = client.read("numbers", follow=True)
        assert (await anext(reading)).value == b"0"
    sent = [client.send("numbers", value=b"%d" % number) for number in range(1, 10)]
    waiting = asyncio.ensure_future(anext(reading))
    await asyncio.sleep(0)
    assert not any(answer.done() for answer in sent)
    with broker_embedded.running(tmp_path, listeners=[Listener(port=port)]):
        assert [(await answer).offset for answer in sent] == list(range(1, 10))
        assert (await waiting).value == b"1"
        await reading.aclose()
        await client.__aexit__(None, None, None)


async def test_a_broker_that_stays_away_is_an_error(tmp_path: Path) -> None:
    with broker_embedded.running(tmp_path) as broker:
        client = await Client(f"kafka://{broker.bootstrap_servers}").__aenter__()
        await client.send("numbers", value=b"0")
    transport = client._transport
    assert isinstance(transport, KafkaTransport)
    transport.connection.retry_timeout_s = 0.1
    for answer in [client.send("numbers", value=b"1"), client.send("others", value=b"1")]:
        with pytest.raises(ConnectionLostError):
            await answer
    with pytest.raises(ConnectionLostError):
        await values(client, "numbers")
    await client.__aexit__(None, None, None)


async def test_leaving_lets_go_of_everything_whatever_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        raise RuntimeError("no way to close")

    client = Client(data_dir=tmp_path)
    with pytest.raises(RuntimeError, match="no way to close"):
        async with client:
            await client.send("numbers", value=b"0")
            monkeypatch.setattr(client._sending()._producer, "close", fail)
    async with Client(data_dir=tmp_path) as again:
        await again.send("numbers", value=b"1")
