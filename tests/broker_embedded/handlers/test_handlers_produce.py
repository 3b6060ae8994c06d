"""Produce by version: which errors a version knows, what is said of single records, idempotence."""

from __future__ import annotations

from typing import Any

import pytest

from broker_embedded import records
from broker_embedded.handlers import RequestContext
from broker_embedded.wire.messages.records import PartitionProduceData, ProduceRequest, TopicProduceData

NOW_MS = 1_700_000_000_000
OUT_OF_ORDER, INVALID_PRODUCER_EPOCH, TOO_LARGE, INVALID_TIMESTAMP = 45, 47, 10, 32
LAST_SEQUENCE = 2**31 - 1


def batch(*values: bytes, at_ms: int = NOW_MS, **fields: Any) -> bytearray:
    return records.encode([b"k"] * len(values), list(values), [at_ms] * len(values), **fields)


async def produce(client: Any, data: Any, topic: str = "flights", version: int = 13, **fields: Any) -> Any:
    rows = [TopicProduceData(topic, None, [PartitionProduceData(0, data)])]
    answer = await client.cluster.handle(ProduceRequest(topic_data=rows, **fields), RequestContext(version))
    return answer.responses[0].partition_responses[0]


async def write(client: Any, producer: int, sequence: int, epoch: int = 0, count: int = 1, **fields: Any) -> Any:
    data = batch(*[b"v"] * count, producer_id=producer, producer_epoch=epoch, base_sequence=sequence)
    return await produce(client, data, **fields)


@pytest.fixture(autouse=True)
async def topics(client: Any) -> None:
    await client.create("flights")


@pytest.mark.parametrize(("version", "code"), [(3, 76), (6, 76), (7, 0), (13, 0)])
async def test_zstd_needs_version_7(client: Any, version: int, code: int) -> None:
    assert (await produce(client, batch(b"a", codec="zstd"), version=version)).error_code == code


async def test_acks_0_answers_as_others_and_the_connection_drops_it(client: Any) -> None:
    assert (await produce(client, batch(b"a"), acks=0)).error_code == 0
    assert (await produce(client, batch(b"a"), "missing", acks=0)).error_code == 3


async def test_one_node_is_enough_for_any_min_insync_replicas(client: Any) -> None:
    await client.create("isr", min_insync_replicas="2")
    assert (await produce(client, batch(b"a"), "isr", acks=-1)).error_code == 0


@pytest.mark.parametrize("name", ["__admin_client", "other"])
async def test_nobody_writes_internal_topics(client: Any, name: str) -> None:
    rows = [TopicProduceData("__consumer_offsets", None, [PartitionProduceData(0, batch(b"a"))])]
    answer = await client.cluster.handle(ProduceRequest(topic_data=rows), RequestContext(13, name))
    assert answer.responses[0].partition_responses[0].error_code == 17


async def test_sizes_count_after_compression(client: Any) -> None:
    await client.create("small", max_message_bytes="1000")
    await client.create("plain", max_message_bytes="1000", compression_type="uncompressed")
    text = b"a" * 5000
    assert (await produce(client, batch(text), "small")).error_code == TOO_LARGE
    assert (await produce(client, batch(text, codec="gzip"), "small")).error_code == 0
    assert (await produce(client, batch(text, codec="gzip"), "plain")).error_code == TOO_LARGE


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize(
    ("wanted", "stored"), [("producer", ""), ("uncompressed", "none"), ("zstd", "zstd"), ("lz4", "lz4")]
)
async def test_recompression(client: Any, codec: str, wanted: str, stored: str) -> None:
    await client.create("t", compression_type=wanted)
    assert (await produce(client, batch(b"a", b"b", codec=codec), "t")).error_code == 0
    ((header, data),) = client.cluster.read_all(client.cluster.log("t", 0))
    assert header.codec == (stored or codec)
    assert records.decode(data).values() == [b"a", b"b"]


async def test_times_out_of_range_are_named(client: Any) -> None:
    await client.create("t", message_timestamp_before_max_ms="1000", message_timestamp_after_max_ms="500")
    data = records.encode([b"k"] * 4, [b"v"] * 4, [NOW_MS - 1001, NOW_MS - 1000, NOW_MS + 500, NOW_MS + 501])
    answer = await produce(client, data, "t")
    assert (answer.error_code, answer.log_start_offset) == (INVALID_TIMESTAMP, 0)
    assert [row.batch_index for row in answer.record_errors] == [0, 3]
    assert client.cluster.log("t", 0).log_end_offset == 0


@pytest.mark.parametrize(("kind", "stamp"), [("CreateTime", -1), ("LogAppendTime", NOW_MS)])
async def test_the_time_of_appending(client: Any, kind: str, stamp: int) -> None:
    await client.create("t", message_timestamp_type=kind)
    assert (await produce(client, batch(b"a", at_ms=5), "t")).log_append_time_ms == stamp
    ((_, data),) = client.cluster.read_all(client.cluster.log("t", 0))
    assert records.decode(data).timestamps.tolist() == [max(stamp, 5)]


# Idempotence


async def test_the_last_five_batches_may_be_repeated(client: Any) -> None:
    for sequence in range(7):
        assert (await write(client, 1, sequence)).base_offset == sequence
    for sequence in range(2, 7):
        again = await write(client, 1, sequence)
        assert (again.error_code, again.base_offset) == (0, sequence)
    assert (await write(client, 1, 1)).error_code == OUT_OF_ORDER
    assert (await write(client, 1, 6, count=2)).error_code == OUT_OF_ORDER  # not the same batch
    assert client.cluster.log("flights", 0).log_end_offset == 7


@pytest.mark.parametrize(
    ("before", "sequence", "epoch", "code"),
    [
        ([], 7, 0, 0),  # nothing known: begin anywhere
        ([(0, 0)], 2, 0, OUT_OF_ORDER),
        ([(0, 0)], 1, 0, 0),
        ([(0, 0)], 1, 1, OUT_OF_ORDER),  # a new epoch begins at 0
        ([(0, 0)], 0, 1, 0),
        ([(0, 1)], 1, 0, INVALID_PRODUCER_EPOCH),
        ([(LAST_SEQUENCE, 0)], 0, 0, 0),  # wraps
        ([(LAST_SEQUENCE, 0)], 1, 0, OUT_OF_ORDER),
    ],
)
async def test_sequences(client: Any, before: list[tuple[int, int]], sequence: int, epoch: int, code: int) -> None:
    for first, in_epoch in before:
        assert (await write(client, 1, first, in_epoch)).error_code == 0
    assert (await write(client, 1, sequence, epoch)).error_code == code


async def test_a_batch_across_the_wrap(client: Any) -> None:
    first = await write(client, 1, LAST_SEQUENCE - 1, count=4)  # to sequence 1
    assert (await write(client, 1, LAST_SEQUENCE - 1, count=4)).base_offset == first.base_offset
    assert (await write(client, 1, 2)).error_code == 0


async def test_sequences_survive_a_restart_and_a_kill(folder: Any, client: Any) -> None:
    for sequence in range(3):
        await write(client, 1, sequence)
    folder.kill()
    client = folder.open()
    assert [(await write(client, 1, n)).base_offset for n in range(3)] == [0, 1, 2]  # read from the log
    await client.cluster.close()
    client = folder.open()
    assert (await write(client, 1, 2)).base_offset == 2  # a snapshot has the last one
    assert (await write(client, 1, 4)).error_code == OUT_OF_ORDER


async def test_producers_expire(client: Any) -> None:
    await write(client, 1, 0)
    client.clock.now += 86_400_000
    client.cluster.tick()
    assert (await write(client, 1, 9)).error_code == 0
