# 23 OffsetForLeaderEpoch: where an epoch of the log ended, for clients whose log may have parted from ours (KIP-320).
#
# - The answer is the largest epoch not above the one asked for, and its end: the start of the next, or the end of the
#   log. (-1, -1) without an error when nothing is known.
# - current_leader_epoch: FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import KafkaError
from broker_embedded.fetching.request import check_leader_epoch
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.records import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(23, versions=(2, 4))
async def handle(
    cluster: Cluster, request: OffsetForLeaderEpochRequest, context: RequestContext
) -> OffsetForLeaderEpochResponse:
    return OffsetForLeaderEpochResponse(
        [
            OffsetForLeaderTopicResult(topic.topic, [_answer(cluster, topic.topic, row) for row in topic.partitions])
            for topic in request.topics
        ]
    )


def _answer(cluster: Cluster, topic: str, row: OffsetForLeaderPartition) -> EpochEndOffset:
    try:
        source = cluster.log(topic, row.partition)
        check_leader_epoch(source, row.current_leader_epoch)
    except KafkaError as error:
        return EpochEndOffset(row.partition, error.code)
    return EpochEndOffset(row.partition, 0, *source.epochs.end_offset(row.leader_epoch, source.log_end_offset))
