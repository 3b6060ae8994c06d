# 55 DescribeQuorum: who votes in the metadata log, and how far they are (KIP-595, KIP-836, KIP-853).
#
# - There is one voter, this broker, which leads and has everything. Other topics have no quorum:
#   UNKNOWN_TOPIC_OR_PARTITION.
# - Its address is that of the listener the client came by: the controller has none of its own.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import UnknownTopicOrPartitionError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.metadata.log import METADATA_TOPIC
from broker_embedded.wire.messages.cluster import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    QuorumListener,
    QuorumNode,
    QuorumPartitionState,
    QuorumTopicState,
    ReplicaState,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(55, versions=(0, 2))
async def handle(cluster: Cluster, request: DescribeQuorumRequest, context: RequestContext) -> DescribeQuorumResponse:
    topics = [
        QuorumTopicState(
            topic.topic_name, [_state(cluster, topic.topic_name, p.partition_index) for p in topic.partitions]
        )
        for topic in request.topics
    ]
    if not any(state.current_voters for topic in topics for state in topic.partitions):
        return DescribeQuorumResponse(error_message="", topics=topics)
    node, host, port = cluster.advertised(context)
    nodes = [QuorumNode(node, [QuorumListener(context.session.listener, host, port)])]
    return DescribeQuorumResponse(error_message="", topics=topics, nodes=nodes)


def _state(cluster: Cluster, topic: str, partition: int) -> QuorumPartitionState:
    if (topic, partition) != (METADATA_TOPIC, 0):
        error = UnknownTopicOrPartitionError(f"{topic}-{partition} has no quorum: only {METADATA_TOPIC}-0 has")
        return QuorumPartitionState(partition, error.code, str(error))
    node, now_ms, end = cluster.config.node_id, cluster.now_ms(), cluster.metadata.offset + 1
    voter = ReplicaState(node, cluster.folder.meta.directory_id, end, now_ms, now_ms)
    return QuorumPartitionState(0, 0, "", node, cluster.metadata.epoch, end, [voter])
