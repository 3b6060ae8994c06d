"""Records through the handlers: produce, fetch, offsets by time, deletion of records."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from broker_embedded import records
from broker_embedded.handlers import RequestContext
from broker_embedded.wire.messages.records import (
    EARLIEST_LOCAL_TIMESTAMP,
    EARLIEST_TIMESTAMP,
    LATEST_TIMESTAMP,
    MAX_TIMESTAMP,
    READ_COMMITTED,
    READ_UNCOMMITTED,
    AbortedTransaction,
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
    FetchPartition,
    FetchRequest,
    FetchTopic,
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from broker_embedded.wire.messages.topics import DeleteTopicsRequest, DeleteTopicState

WIRE = RequestContext()  # as from a socket: everything is checked


def batch(*values: bytes, key: bytes | None = b"k", **fields: Any) -> bytearray:
    return records.encode([key] * len(values), list(values), [1_700_000_000_000] * len(values), **fields)


def control(transactional: bool = True) -> bytearray:
    data = records.encode_control(commit=True, producer_id=1, producer_epoch=0, timestamp=0)
    records.set_producer(data, producer_id=1, producer_epoch=0, base_sequence=0, is_transactional=transactional)
    return data


def at_offset(offset: int) -> bytearray:
    data = batch(b"a")
    records.set_offset(data, offset, 0)
    return data


def of_magic(magic: int) -> bytearray:
    data = batch(b"a")
    data[16] = magic
    return data


def corrupt() -> bytearray:
    data = batch(b"a")
    data[-1] ^= 1
    return data


async def produce(client: Any, data: Any, topic: str = "flights", index: int = 0, **fields: Any) -> Any:
    rows = [TopicProduceData(topic, None, [PartitionProduceData(index, data)])]
    answer = await client.cluster.handle(ProduceRequest(topic_data=rows, **fields), WIRE)
    return answer.responses[0].partition_responses[0]


@pytest.fixture(autouse=True)
async def topics(client: Any) -> None:
    await client.create("flights", 2)
    await client.create("planes", cleanup_policy="compact")


@pytest.mark.parametrize(
    ("data", "fields", "code"),
    [
        (batch(b"a"), {}, 0),
        (batch(b"a"), {"acks": 1}, 0),
        (batch(b"a"), {"acks": 2}, 21),  # INVALID_REQUIRED_ACKS
        (batch(b"a"), {"topic": "missing"}, 3),  # UNKNOWN_TOPIC_OR_PARTITION
        (batch(b"a"), {"index": 2}, 3),
        (batch(b"a"), {"topic": "__consumer_offsets"}, 17),  # INVALID_TOPIC_EXCEPTION
        (corrupt(), {}, 2),  # CORRUPT_MESSAGE
        (batch(b"a")[:40], {}, 87),  # INVALID_RECORD
        (batch(b"a")[:-1], {}, 87),
        (b"", {}, 87),
        (None, {}, 87),
        (batch(b"a") + batch(b"b"), {}, 87),
        (control(), {"transactional_id": "t"}, 49),  # INVALID_PRODUCER_ID_MAPPING
        (control(transactional=False), {}, 87),
        (at_offset(1), {}, 87),
        (of_magic(1), {}, 87),
        (of_magic(3), {}, 2),
        (batch(b"a", is_transactional=True, producer_id=0, producer_epoch=0, base_sequence=0), {}, 53),
        (batch(b"a"), {"transactional_id": "t"}, 0),
        (batch(b"a", producer_id=0, producer_epoch=0), {}, 87),
        (batch(b"x" * 1_100_000), {}, 10),  # MESSAGE_TOO_LARGE
        (batch(b"a"), {"topic": "planes"}, 0),
    ],
)
async def test_a_batch_is_checked(client: Any, data: bytearray, fields: dict[str, Any], code: int) -> None:
    answer = await produce(client, data, **fields)
    assert (answer.error_code, bool(answer.error_message)) == (code, code != 0)
    assert (answer.base_offset >= 0) == (code == 0)


async def test_a_compacted_topic_needs_keys(client: Any) -> None:
    data = records.encode([b"k", None, b"k", None], [b"v"] * 4, [0] * 4)
    answer = await produce(client, data, topic="planes")
    assert answer.error_code == 87
    assert [row.batch_index for row in answer.record_errors] == [1, 3]
    assert client.cluster.log("planes", 0).log_end_offset == 0


async def test_partitions_answer_each_for_itself(client: Any) -> None:
    rows = [PartitionProduceData(index, batch(b"a")) for index in (0, 5, 1)]
    request = ProduceRequest(topic_data=[TopicProduceData("flights", None, rows)])
    answer = await client.cluster.handle(request, WIRE)
    assert [row.error_code for row in answer.responses[0].partition_responses] == [0, 3, 0]


async def test_topics_by_id(client: Any) -> None:
    topic_id = client.cluster.topics["flights"].id
    rows = [TopicProduceData("", some, [PartitionProduceData(0, batch(b"a"))]) for some in (topic_id, uuid4())]
    answer = await client.cluster.handle(ProduceRequest(topic_data=rows), WIRE)
    assert [topic.partition_responses[0].error_code for topic in answer.responses] == [0, 100]
    fetch = [FetchTopic("", some, [FetchPartition(0, 0)]) for some in (topic_id, uuid4())]
    found = await client.cluster.handle(FetchRequest(0, topics=fetch))
    assert [topic.partitions[0].error_code for topic in found.responses] == [0, 100]
    assert found.responses[0].partitions[0].next_offset == 1


async def test_a_fetch_says_where_the_log_is(client: Any) -> None:
    writer = await client.init()
    await client.produce("flights", "a")
    await client.produce("flights", "b", writer=writer)
    for offset in (0, 1):
        row = await client.fetch("flights", offset)
        assert (row.high_watermark, row.last_stable_offset, row.log_start_offset) == (2, 1, 0)
        assert row.aborted_transactions == []
    row = await client.fetch("flights", 1, isolation_level=READ_UNCOMMITTED)
    assert (row.next_offset, row.aborted_transactions) == (2, None)
    await client.end(writer, False)
    row = await client.fetch("flights", 0)
    assert row.aborted_transactions == [AbortedTransaction(writer.producer_id, 1)]


@pytest.mark.parametrize("offset", [-1, 2])
async def test_outside_of_the_log(client: Any, offset: int) -> None:
    await client.produce("flights", "a")
    assert (await client.fetch("flights", offset)).error_code == 1  # OFFSET_OUT_OF_RANGE
    assert (await client.fetch("flights", offset, max_wait_ms=30_000)).error_code == 1  # an error does not wait


async def test_limits_over_partitions(client: Any) -> None:
    for partition in (0, 1):
        await client.produce("flights", "x" * 500, partition=partition)
        await client.produce("flights", "x" * 500, partition=partition)

    async def sizes(max_bytes: int, partition_max_bytes: int = 1 << 20) -> list[int]:
        rows = [FetchPartition(index, 0, partition_max_bytes) for index in (0, 1)]
        request = FetchRequest(0, max_bytes=max_bytes, topics=[FetchTopic("flights", None, rows)])
        answer = await client.cluster.handle(request)
        return [sum(map(len, row.records)) for row in answer.responses[0].partitions]

    (whole, _) = await sizes(1 << 20)
    one = whole // 2
    assert await sizes(1) == [one, 0]  # the first comes, however large; the others do not
    assert await sizes(whole) == [whole, 0]
    assert await sizes(whole + one) == [whole, one]
    assert await sizes(1 << 20, one) == [one, one]


@pytest.mark.parametrize("min_bytes", [0, 1])
async def test_at_the_end(client: Any, min_bytes: int) -> None:
    waits_ms = 0 if min_bytes else 30_000  # nothing asked for is there at once
    row = await client.fetch("flights", max_wait_ms=waits_ms, min_bytes=min_bytes)
    assert (row.error_code, row.records, row.next_offset) == (0, [], 0)


async def test_min_bytes_are_waited_for(client: Any) -> None:
    waiting = asyncio.create_task(client.fetch("flights", max_wait_ms=30_000, min_bytes=150))
    for value in "ab":
        await asyncio.sleep(0)
        assert not waiting.done()
        await client.produce("flights", value)
        await asyncio.sleep(0)
    await client.produce("flights", "c")
    assert (await waiting).next_offset == 3


async def test_a_deleted_topic_ends_the_wait(client: Any) -> None:
    waiting = asyncio.create_task(client.fetch("flights", max_wait_ms=30_000))
    await asyncio.sleep(0)
    await client.cluster.handle(DeleteTopicsRequest([DeleteTopicState("flights")]))
    assert (await waiting).error_code == 3


async def test_nobody_is_left_waiting(client: Any) -> None:
    await client.fetch("flights", max_wait_ms=1)
    assert not client.cluster.progress


@pytest.mark.parametrize(
    ("timestamp", "isolation", "found"),
    [
        (LATEST_TIMESTAMP, READ_UNCOMMITTED, (-1, 3)),
        (LATEST_TIMESTAMP, READ_COMMITTED, (-1, 2)),
        (EARLIEST_TIMESTAMP, READ_COMMITTED, (-1, 0)),
        (EARLIEST_LOCAL_TIMESTAMP, READ_COMMITTED, (-1, 0)),
        (MAX_TIMESTAMP, READ_UNCOMMITTED, (1_700_000_002_000, 2)),
        (1_700_000_000_001, READ_UNCOMMITTED, (1_700_000_001_000, 1)),
        (1_700_000_009_000, READ_UNCOMMITTED, (-1, -1)),
    ],
)
async def test_listing_offsets(client: Any, timestamp: int, isolation: int, found: tuple[int, int]) -> None:
    await client.produce("flights", "a")
    client.clock.now += 1000
    await client.produce("flights", "b")
    client.clock.now += 1000
    await client.produce("flights", "c", writer=await client.init())
    rows = [ListOffsetsTopic("flights", [ListOffsetsPartition(0, timestamp), ListOffsetsPartition(9, timestamp)])]
    answer = await client.cluster.handle(ListOffsetsRequest(isolation_level=isolation, topics=rows))
    here, missing = answer.topics[0].partitions
    assert (here.error_code, here.timestamp, here.offset) == (0, *found)
    assert missing.error_code == 3


@pytest.mark.parametrize(
    ("topic", "offset", "low", "code"),
    [("flights", 1, 1, 0), ("flights", -1, 2, 0), ("flights", 3, -1, 1), ("planes", 0, -1, 44), ("missing", 0, -1, 3)],
)
async def test_deleting_records(client: Any, topic: str, offset: int, low: int, code: int) -> None:
    await client.produce("flights", "a")
    await client.produce("flights", "b")
    rows = [DeleteRecordsTopic(topic, [DeleteRecordsPartition(0, offset)])]
    row = (await client.cluster.handle(DeleteRecordsRequest(rows))).topics[0].partitions[0]
    assert (row.low_watermark, row.error_code) == (low, code)


async def test_deleted_records_stay_deleted(folder: Any, client: Any) -> None:
    await client.produce("flights", "a")
    await client.produce("flights", "b")
    await client.cluster.handle(DeleteRecordsRequest([DeleteRecordsTopic("flights", [DeleteRecordsPartition(0, 1)])]))
    await client.cluster.close()
    assert folder.open().cluster.log("flights", 0).log_start_offset == 1
