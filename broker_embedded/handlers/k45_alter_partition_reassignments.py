# 45 AlterPartitionReassignments: partitions stay where they are, as there is one broker (KIP-455).
#
# - Replicas must be this broker, which they are already. Cancelling (null) is NO_REASSIGNMENT_IN_PROGRESS.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import KafkaError, NoReassignmentInProgressError, UnknownTopicOrPartitionError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.topics import check_assignment
from broker_embedded.wire.messages.cluster import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartition,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(45, versions=(0, 1))
async def handle(
    cluster: Cluster, request: AlterPartitionReassignmentsRequest, context: RequestContext
) -> AlterPartitionReassignmentsResponse:
    rows = [
        ReassignableTopicResponse(topic.name, [_reassign(cluster, topic.name, row) for row in topic.partitions])
        for topic in request.topics
    ]
    return AlterPartitionReassignmentsResponse(
        responses=rows, allow_replication_factor_change=request.allow_replication_factor_change
    )


def _reassign(cluster: Cluster, topic: str, row: ReassignablePartition) -> ReassignablePartitionResponse:
    try:
        if topic not in cluster.topics:
            raise UnknownTopicOrPartitionError(f"Unable to find a topic named {topic}.")
        if cluster.find_log(topic, row.partition_index) is None:
            raise UnknownTopicOrPartitionError(f"Unable to find partition {topic}:{row.partition_index}.")
        if row.replicas is None:
            raise NoReassignmentInProgressError(f"{topic}-{row.partition_index} is not being reassigned")
        check_assignment(row.replicas, cluster.config.node_id)
    except KafkaError as error:
        return ReassignablePartitionResponse(row.partition_index, error.code, str(error))
    return ReassignablePartitionResponse(row.partition_index)
