# 47 OffsetDelete: single positions of a group (KIP-496).
#
# - GROUP_SUBSCRIBED_TO_TOPIC while a member reads the topic; a group with members that are not consumers is
#   NON_EMPTY_GROUP as a whole, as nobody knows what they read. A partition without a position is no error.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import GroupSubscribedToTopicError, KafkaError, UnknownTopicOrPartitionError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.groups import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.coordinator.groups.group import Group


@handler(47, versions=(0, 0))
async def handle(cluster: Cluster, request: OffsetDeleteRequest, context: RequestContext) -> OffsetDeleteResponse:
    response = OffsetDeleteResponse()
    gone = []
    try:
        group = cluster.groups.find(request.group_id)
        group.check_offset_delete()
        for topic in request.topics:
            answer = OffsetDeleteResponseTopic(topic.name)
            for row in topic.partitions:
                code = _check(cluster, group, topic.name, row.partition_index)
                answer.partitions.append(OffsetDeleteResponsePartition(row.partition_index, code))
                gone += [(topic.name, row.partition_index)] if code == 0 else []
            response.topics.append(answer)
        cluster.offsets.remove(request.group_id, gone)
    except KafkaError as error:
        return OffsetDeleteResponse(error.code)
    return response


def _check(cluster: Cluster, group: Group, topic: str, partition: int) -> int:
    if cluster.find_log(topic, partition) is None:
        return UnknownTopicOrPartitionError.info.code
    return GroupSubscribedToTopicError.info.code if group.is_subscribed_to(topic) else 0
