# 75 DescribeTopicPartitions: partitions of topics, a page at a time (KIP-966).
#
# - Topics come in the order of their names, from the cursor on; no names are all topics. A page has as many partitions
#   as the request allows, `max.request.partition.size.limit` at most, and says where the next one begins.
# - The schema lets eligible leader replicas be null; Kafka's AdminClient fails on that, so they are empty.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidRequestError, InvalidTopicError, UnknownTopicOrPartitionError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.security.acls import ResourceType
from broker_embedded.security.authorizer import authorized_operations
from broker_embedded.topics import INTERNAL_TOPICS, check_name
from broker_embedded.wire.messages.topics import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_BEGINNING = Cursor("", 0)


@handler(75, versions=(0, 0))
async def handle(
    cluster: Cluster, request: DescribeTopicPartitionsRequest, context: RequestContext
) -> DescribeTopicPartitionsResponse:
    response = DescribeTopicPartitionsResponse()
    left = max(1, min(request.response_partition_limit, cluster.config.max_request_partition_size_limit))
    start = request.cursor or _BEGINNING
    for name in _names(cluster, request):
        if left == 0:
            response.next_cursor = Cursor(name, 0)
            break
        first = start.partition_index if name == start.topic_name else 0
        row, following = _describe(cluster, name, first, left)
        row.topic_authorized_operations = authorized_operations(cluster, context, ResourceType.TOPIC, name)
        response.topics.append(row)
        left -= len(row.partitions)
        if following is not None:
            response.next_cursor = Cursor(name, following)
            break
    return response


def _names(cluster: Cluster, request: DescribeTopicPartitionsRequest) -> list[str]:
    cursor = request.cursor or _BEGINNING
    asked = {row.name for row in request.topics}
    if cursor.partition_index < 0:
        raise InvalidRequestError(
            f"DescribeTopicPartitionsRequest cursor partition must be valid: {cursor.partition_index}"
        )
    if asked and request.cursor is not None and cursor.topic_name not in asked:
        raise InvalidRequestError(
            f"DescribeTopicPartitionsRequest topic list should contain the cursor topic: {cursor.topic_name}"
        )
    return sorted(name for name in asked or cluster.topics if name >= cursor.topic_name)


def _describe(
    cluster: Cluster, name: str, first: int, left: int
) -> tuple[DescribeTopicPartitionsResponseTopic, int | None]:
    """A topic's partitions from `first` on, `left` at most, and the partition that the next page begins with."""
    topic = cluster.topics.get(name)
    if topic is None:
        return DescribeTopicPartitionsResponseTopic(_missing(name), name, is_internal=name in INTERNAL_TOPICS), None
    node, end = cluster.config.node_id, min(first + left, len(topic.partitions))
    rows = [
        DescribeTopicPartitionsResponsePartition(
            index, 0, node, topic.partitions[index].leader_epoch, [node], [node], eligible_leader_replicas=[]
        )
        for index in range(first, end)
    ]
    following = end if end < len(topic.partitions) else None
    return DescribeTopicPartitionsResponseTopic(0, name, topic.id, topic.is_internal, rows), following


def _missing(name: str) -> int:
    try:
        check_name(name)
    except InvalidTopicError as error:
        return error.code
    return UnknownTopicOrPartitionError.info.code
