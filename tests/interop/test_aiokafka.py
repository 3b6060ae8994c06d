"""aiokafka in every mode, the same steps on both brokers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import ProducerFenced

from tests.interop.targets import Broker

NewName = Callable[[str], str]
WAIT_S = 20


@asynccontextmanager
async def admin_client(target: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=target.bootstrap)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def topic(target: Broker, new_name: NewName) -> str:
    name = new_name("aiokafka")
    async with admin_client(target) as admin:
        await admin.create_topics([NewTopic(name, 2, 1)])
    return name


def consumer(target: Broker, *topics: str, **config: Any) -> AIOKafkaConsumer:
    settings = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "heartbeat_interval_ms": 100}
    return AIOKafkaConsumer(*topics, bootstrap_servers=target.bootstrap, **settings | config)


def producer(target: Broker, **config: Any) -> AIOKafkaProducer:
    return AIOKafkaProducer(bootstrap_servers=target.bootstrap, **config)


async def take(opened: AIOKafkaConsumer, count: int) -> list[Any]:
    async with asyncio.timeout(WAIT_S):
        return [await opened.getone() for _ in range(count)]


async def read(target: Broker, topic: str, count: int, **config: Any) -> list[Any]:
    async with consumer(target, **config) as opened:
        opened.assign([TopicPartition(topic, 0)])
        return await take(opened, count)


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_codecs(target: Broker, topic: str, codec: str | None) -> None:
    values = [b"x" * 100 + str(index).encode() for index in range(100)]
    async with producer(target, compression_type=codec) as sender:
        for value in values:
            await sender.send(topic, value, partition=0)
    assert [record.value for record in await read(target, topic, 100)] == values


@pytest.mark.parametrize("settings", [{"acks": 0}, {"acks": 1}, {"acks": "all"}, {"enable_idempotence": True}], ids=str)
async def test_acks(target: Broker, topic: str, settings: dict[str, Any]) -> None:
    async with producer(target) as sender:  # what nobody acknowledges is lost while a topic is being made
        await sender.send_and_wait(topic, b"first", partition=0)
    async with producer(target, **settings) as sender:
        sent = [await sender.send_and_wait(topic, b"v", partition=0) for _ in range(3)]
    if settings != {"acks": 0}:
        assert [report.offset for report in sent] == [1, 2, 3]
    assert [record.offset for record in await read(target, topic, 4)] == [0, 1, 2, 3]


async def test_everything_in_a_record(target: Broker, topic: str) -> None:
    headers = [("a", b"1"), ("a", b"2"), ("b", b"")]
    async with producer(target) as sender:
        await sender.send(topic, b"v", b"k", 0, 1_700_000_000_000, headers)
        await sender.send(topic, None, b"", 0, 1_600_000_000_000)
    first, second = await read(target, topic, 2)
    assert (first.key, first.value, list(first.headers), first.timestamp) == (b"k", b"v", headers, 1_700_000_000_000)
    assert (second.key, second.value, second.timestamp) == (b"", None, 1_600_000_000_000)


async def _reached(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.02)


async def test_rebalance_of_two(target: Broker, topic: str, new_name: NewName) -> None:
    group = new_name("group")
    async with consumer(target, topic, group_id=group) as first:
        await _reached(lambda: len(first.assignment()) == 2)
        async with consumer(target, topic, group_id=group) as second:
            await _reached(lambda: len(first.assignment()) == len(second.assignment()) == 1)
        await _reached(lambda: len(first.assignment()) == 2)


async def test_static_member_comes_back(target: Broker, topic: str, new_name: NewName) -> None:
    group = new_name("group")
    for _ in range(2):
        async with consumer(target, topic, group_id=group, group_instance_id="one") as opened:
            await _reached(lambda opened=opened: len(opened.assignment()) == 2)


async def test_group_goes_on_where_it_left(target: Broker, topic: str, new_name: NewName) -> None:
    group, partition = new_name("group"), TopicPartition(topic, 0)
    async with producer(target) as sender:
        for index in range(10):
            await sender.send(topic, str(index).encode(), partition=0)
    async with consumer(target, topic, group_id=group) as opened:
        assert await opened.committed(partition) is None
        await take(opened, 10)
        await opened.commit({partition: 7})
        assert await opened.committed(partition) == 7
    async with consumer(target, topic, group_id=group) as opened:
        assert [record.value for record in await take(opened, 3)] == [b"7", b"8", b"9"]


async def test_transactions(target: Broker, topic: str, new_name: NewName) -> None:
    async with producer(target, transactional_id=new_name("transaction")) as sender:
        for index, commits in enumerate([True, False, True]):
            await sender.begin_transaction()
            await sender.send_and_wait(topic, str(index).encode(), partition=0)
            await (sender.commit_transaction() if commits else sender.abort_transaction())
    committed = await read(target, topic, 2, isolation_level="read_committed")
    everything = await read(target, topic, 3)
    assert [(record.offset, record.value) for record in committed] == [(0, b"0"), (4, b"2")]
    assert [(record.offset, record.value) for record in everything] == [(0, b"0"), (2, b"1"), (4, b"2")]


async def test_consume_transform_produce(target: Broker, topic: str, new_name: NewName) -> None:
    group, output = new_name("group"), new_name("output")
    async with producer(target) as sender:
        for index in range(10):
            await sender.send(topic, str(index).encode(), partition=0)
    async with producer(target, transactional_id=new_name("transaction")) as sender:
        for commits in (False, True):
            async with consumer(target, topic, group_id=group) as opened:
                await sender.begin_transaction()
                for record in await take(opened, 10):
                    await sender.send(output, record.value, partition=0)
                await sender.send_offsets_to_transaction({TopicPartition(topic, 0): 10}, group)
                await (sender.commit_transaction() if commits else sender.abort_transaction())
    found = await read(target, output, 10, isolation_level="read_committed")
    assert [int(record.value) for record in found] == list(range(10))


async def test_fenced_producer(target: Broker, topic: str, new_name: NewName) -> None:
    name = new_name("transaction")
    async with producer(target, transactional_id=name) as old:
        await old.begin_transaction()
        await old.send_and_wait(topic, b"old", partition=0)
        async with producer(target, transactional_id=name) as new, new.transaction():
            await new.send(topic, b"new", partition=0)
        with pytest.raises(ProducerFenced):
            await old.commit_transaction()
    found = await read(target, topic, 1, isolation_level="read_committed")
    assert [record.value for record in found] == [b"new"]


async def test_positions(target: Broker, topic: str) -> None:
    partition = TopicPartition(topic, 0)
    async with producer(target) as sender:
        for index in range(1, 6):
            await sender.send(topic, b"v", partition=0, timestamp_ms=1000 * index)
    async with consumer(target) as opened:
        assert await opened.beginning_offsets([partition]) == {partition: 0}
        assert await opened.end_offsets([partition]) == {partition: 5}
        found = await opened.offsets_for_times({partition: 2500})
        assert (found[partition].offset, found[partition].timestamp) == (2, 3000)
        opened.assign([partition])
        await opened.seek_to_end(partition)
        assert await opened.position(partition) == 5


async def test_admin(target: Broker, topic: str, new_name: NewName) -> None:
    group, partition = new_name("group"), TopicPartition(topic, 0)
    async with producer(target) as sender:
        for _ in range(5):
            await sender.send(topic, b"v", partition=0)
    async with consumer(target, topic, group_id=group) as opened, admin_client(target) as admin:
        await take(opened, 5)
        await opened.commit()
        assert topic in await admin.list_topics()
        (described,) = await admin.describe_topics([topic])
        assert len(described["partitions"]) == 2
        (groups,) = await admin.describe_consumer_groups([group])
        assert groups.groups[0][2] == "Stable"
        assert (group, "consumer") in await admin.list_consumer_groups()
        offsets = await admin.list_consumer_group_offsets(group)
        assert offsets[partition].offset == 5
        assert await admin.delete_records({partition: RecordsToDelete(before_offset=3)}) == {partition: 3}
    async with admin_client(target) as admin:
        await admin.delete_topics([topic])
        assert topic not in await admin.list_topics()
