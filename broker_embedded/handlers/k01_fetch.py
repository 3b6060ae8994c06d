# 1 Fetch: whole batches as they are stored, from an offset on.
#
# - The batch that holds the offset comes whole, the client leaves out what is before. Offset == end waits; outside of
#   the log is OFFSET_OUT_OF_RANGE.
# - At least one batch: the first partition with data gives its first batch, larger than the limits or not (KIP-74).
# - Isolation 1 ends at the last stable offset and names the aborted transactions in what it returns; isolation 0 has
#   null there. Watermarks and log start stand in every row.
# - Waits up to max_wait_ms for min_bytes, over all partitions; an error in one of them answers at once.
# - Not here yet: fetch sessions, leader epochs.
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker_embedded.errors import KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.records import (
    READ_COMMITTED,
    AbortedTransaction,
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    PartitionData,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(1, versions=(4, 18))
async def handle(cluster: Cluster, request: FetchRequest, context: RequestContext) -> FetchResponse:
    response, enough = _read(cluster, request)
    if enough or request.max_wait_ms <= 0:
        return response
    return await _wait(cluster, request, response)


async def _wait(cluster: Cluster, request: FetchRequest, response: FetchResponse) -> FetchResponse:
    woken = asyncio.Event()
    unsubscribes = [
        cluster.on_progress(topic.topic or cluster.topic(None, topic.topic_id).name, row.partition, woken.set)
        for topic in request.topics
        for row in topic.partitions
    ]
    enough = False
    try:
        async with asyncio.timeout(request.max_wait_ms / 1000):
            while not enough:
                await woken.wait()
                woken.clear()
                cluster.check_serving()
                response, enough = _read(cluster, request)
    except TimeoutError:
        pass  # what is there by now is the answer
    finally:
        for unsubscribe in unsubscribes:
            unsubscribe()
    return response


def _read(cluster: Cluster, request: FetchRequest) -> tuple[FetchResponse, bool]:
    """The answer as of now, and whether it need not wait."""
    response = FetchResponse()
    size_bytes = 0
    failed = False
    for topic in request.topics:
        answer = FetchableTopicResponse(topic.topic, topic.topic_id)
        for row in topic.partitions:
            try:
                name = topic.topic or cluster.topic(None, topic.topic_id).name
                data, read_bytes = _read_partition(cluster, request, name, row, size_bytes)
                size_bytes += read_bytes
            except KafkaError as error:
                data, failed = PartitionData(row.partition, error.code), True
            answer.partitions.append(data)
        response.responses.append(answer)
    return response, failed or size_bytes >= request.min_bytes


def _read_partition(
    cluster: Cluster, request: FetchRequest, topic: str, row: FetchPartition, size_bytes: int
) -> tuple[PartitionData, int]:
    source = cluster.log(topic, row.partition)
    committed = request.isolation_level == READ_COMMITTED
    result = source.read(
        row.fetch_offset,
        min(row.partition_max_bytes, max(0, request.max_bytes - size_bytes)),
        isolation="read_committed" if committed else "read_uncommitted",
        at_least_one=size_bytes == 0,
    )
    aborted = [AbortedTransaction(*pair) for pair in result.aborted] if committed else None
    data = PartitionData(
        row.partition,
        0,
        result.high_watermark,
        result.last_stable_offset,
        result.log_start_offset,
        aborted,
        records=result.data,
        next_offset=result.next_offset,
    )
    return data, sum(map(len, result.data))
