# 2 ListOffsets: offsets by time, and the ends of a log.
#
# - Timestamp -1 is the end (the last stable offset for isolation 1), -2 the start, -3 the record with the largest
#   timestamp, -4 the local start (the start: nothing is tiered); any other is the first record at or after it.
# - No such record: -1 and -1, without an error.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.records import (
    EARLIEST_LOCAL_TIMESTAMP,
    EARLIEST_TIMESTAMP,
    LATEST_TIMESTAMP,
    MAX_TIMESTAMP,
    READ_COMMITTED,
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.log.partition import PartitionLog

_LEADER_EPOCH = 0


@handler(2, versions=(1, 11))
async def handle(cluster: Cluster, request: ListOffsetsRequest, context: RequestContext) -> ListOffsetsResponse:
    committed = request.isolation_level == READ_COMMITTED
    return ListOffsetsResponse(
        [
            ListOffsetsTopicResponse(
                topic.name, [_answer(cluster, topic.name, row, committed) for row in topic.partitions]
            )
            for topic in request.topics
        ]
    )


def _answer(cluster: Cluster, topic: str, row: ListOffsetsPartition, committed: bool) -> ListOffsetsPartitionResponse:
    try:
        timestamp, offset = _look_up(cluster.log(topic, row.partition_index), row.timestamp, committed)
    except KafkaError as error:
        return ListOffsetsPartitionResponse(row.partition_index, error.code)
    return ListOffsetsPartitionResponse(row.partition_index, 0, timestamp, offset, _LEADER_EPOCH)


def _look_up(source: PartitionLog, timestamp: int, committed: bool) -> tuple[int, int]:
    if timestamp == LATEST_TIMESTAMP:
        return -1, source.last_stable_offset if committed else source.high_watermark
    if timestamp in (EARLIEST_TIMESTAMP, EARLIEST_LOCAL_TIMESTAMP):
        return -1, source.log_start_offset
    found = source.max_timestamp_offset() if timestamp == MAX_TIMESTAMP else source.offset_for_timestamp(timestamp)
    return found or (-1, -1)
