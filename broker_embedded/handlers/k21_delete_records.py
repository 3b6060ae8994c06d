# 21 DeleteRecords: the start of a log moves up to an offset; -1 is its high watermark. Beyond that OFFSET_OUT_OF_RANGE.
# Topics that are only compacted: POLICY_VIOLATION, internal ones: INVALID_TOPIC_EXCEPTION (KIP-107). The deletion is on
# the disk later (see housekeeping.py); a crash before may bring records back, as it may with Kafka.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidTopicError, KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.topics import INTERNAL_TOPICS
from broker_embedded.wire.messages.records import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(21, versions=(0, 2))
async def handle(cluster: Cluster, request: DeleteRecordsRequest, context: RequestContext) -> DeleteRecordsResponse:
    return DeleteRecordsResponse(
        [
            DeleteRecordsTopicResult(topic.name, [_delete(cluster, topic.name, row) for row in topic.partitions])
            for topic in request.topics
        ]
    )


def _delete(cluster: Cluster, topic: str, row: DeleteRecordsPartition) -> DeleteRecordsPartitionResult:
    try:
        if topic in INTERNAL_TOPICS:
            raise InvalidTopicError(f"{topic} is internal: its records are not deleted by request")
        low = cluster.housekeeping.delete_records(cluster.log(topic, row.partition_index), row.offset)
        cluster.progress.made(topic, row.partition_index)  # whoever waits there learns of the new start
        return DeleteRecordsPartitionResult(row.partition_index, low)
    except KafkaError as error:
        return DeleteRecordsPartitionResult(row.partition_index, -1, error.code)
