# 2 ListOffsets: offsets by time, and the ends of a log.
#
# - Timestamp -1 is the end (the last stable offset for isolation 1), -2 the start, -3 (7+) the first record with the
#   largest timestamp, -4 (8+) the local start: the start, as nothing is tiered, so that -5 (9+), the end of what is
#   tiered, and -6 (11+), the start of what will be, are -1. Any other is the first record at or after it.
# - No such record, or none that may be read yet: -1 and -1, without an error.
# - The epoch an offset was written in comes with it. current_leader_epoch: FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH.
# - A partition named twice is INVALID_REQUEST; a timestamp that the version does not know UNSUPPORTED_VERSION.
from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidRequestError, KafkaError, UnsupportedVersionError
from broker_embedded.fetching.request import check_leader_epoch
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.records import (
    EARLIEST_LOCAL_TIMESTAMP,
    EARLIEST_PENDING_UPLOAD_TIMESTAMP,
    EARLIEST_TIMESTAMP,
    LATEST_TIERED_TIMESTAMP,
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

_SINCE_VERSION = {
    LATEST_TIMESTAMP: 1,
    EARLIEST_TIMESTAMP: 1,
    MAX_TIMESTAMP: 7,
    EARLIEST_LOCAL_TIMESTAMP: 8,
    LATEST_TIERED_TIMESTAMP: 9,
    EARLIEST_PENDING_UPLOAD_TIMESTAMP: 11,
}
_NOTHING = (-1, -1, -1)


@handler(2, versions=(1, 11))
async def handle(cluster: Cluster, request: ListOffsetsRequest, context: RequestContext) -> ListOffsetsResponse:
    named = Counter((topic.name, row.partition_index) for topic in request.topics for row in topic.partitions)
    response = ListOffsetsResponse()
    for topic in request.topics:
        answer = ListOffsetsTopicResponse(topic.name)
        for row in topic.partitions:
            try:
                if named[topic.name, row.partition_index] > 1:
                    raise InvalidRequestError(f"{topic.name}-{row.partition_index} is named twice")
                found = _answer(cluster, topic.name, row, request.isolation_level, context.api_version)
                answer.partitions.append(ListOffsetsPartitionResponse(row.partition_index, 0, *found))
            except KafkaError as error:
                answer.partitions.append(ListOffsetsPartitionResponse(row.partition_index, error.code))
        response.topics.append(answer)
    return response


def _answer(
    cluster: Cluster, topic: str, row: ListOffsetsPartition, isolation_level: int, version: int
) -> tuple[int, int, int]:
    """Timestamp, offset and epoch."""
    source = cluster.log(topic, row.partition_index)
    timestamp = row.timestamp
    if timestamp < 0 and version < _SINCE_VERSION.get(timestamp, version + 1):
        raise UnsupportedVersionError(f"timestamp {timestamp} is not known in version {version} of ListOffsets")
    check_leader_epoch(source, row.current_leader_epoch)
    end = source.last_stable_offset if isolation_level == READ_COMMITTED else source.high_watermark
    if timestamp == LATEST_TIMESTAMP:
        return -1, end, source.leader_epoch
    if timestamp in (EARLIEST_TIMESTAMP, EARLIEST_LOCAL_TIMESTAMP):
        return -1, source.log_start_offset, source.epochs.at(source.log_start_offset)
    if timestamp in (LATEST_TIERED_TIMESTAMP, EARLIEST_PENDING_UPLOAD_TIMESTAMP):
        return _NOTHING
    return _by_time(source, timestamp, end)


def _by_time(source: PartitionLog, timestamp: int, end: int) -> tuple[int, int, int]:
    found = source.max_timestamp_offset() if timestamp == MAX_TIMESTAMP else source.offset_for_timestamp(timestamp)
    if found is None or found[1] >= end:
        return _NOTHING
    return *found, source.epochs.at(found[1])
