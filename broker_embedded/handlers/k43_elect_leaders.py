# 43 ElectLeaders: this broker leads every partition for ever, so no election is needed (KIP-183, KIP-460).
#
# - Partitions asked for say ELECTION_NOT_NEEDED. Asked for all, as Kafka: only those are told where there was one,
#   and topics with none of them are rows without partitions.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import ElectionNotNeededError, InvalidRequestError, UnknownTopicOrPartitionError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.cluster import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_PREFERRED, _UNCLEAN = 0, 1


@handler(43, versions=(0, 2))
async def handle(cluster: Cluster, request: ElectLeadersRequest, context: RequestContext) -> ElectLeadersResponse:
    if request.election_type not in (_PREFERRED, _UNCLEAN):
        return ElectLeadersResponse(InvalidRequestError.info.code)
    if request.topic_partitions is None:
        return ElectLeadersResponse(0, [ReplicaElectionResult(name) for name in cluster.topics])
    return ElectLeadersResponse(
        0,
        [
            ReplicaElectionResult(row.topic, [_elect(cluster, row.topic, index) for index in row.partitions])
            for row in request.topic_partitions
        ],
    )


def _elect(cluster: Cluster, topic: str, partition: int) -> PartitionResult:
    if topic not in cluster.topics:
        return PartitionResult(partition, UnknownTopicOrPartitionError.info.code, f"No such topic as {topic}")
    if cluster.find_log(topic, partition) is None:
        what = f"No such partition as {topic}-{partition}"
        return PartitionResult(partition, UnknownTopicOrPartitionError.info.code, what)
    return PartitionResult(
        partition, ElectionNotNeededError.info.code, "Leader election not needed for topic partition."
    )
