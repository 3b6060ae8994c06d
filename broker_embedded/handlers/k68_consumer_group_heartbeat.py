# 68 ConsumerGroupHeartbeat: membership in a group whose partitions the broker assigns (KIP-848).
#
# - One request for everything: epoch 0 joins, -1 leaves, -2 leaves for a while (static members), any other says "I am
#   alive" and "this is what I still have". What has not changed is left out, both ways.
# - A change of the group reaches a member with its next heartbeat. Partitions are given up before others get them.
# - Version 1 (KIP-1082): the client makes its member id; version 0 may leave that to the broker. And
#   SubscribedTopicRegex, in RE2's syntax; it is looked at at once, where Kafka does so with a later heartbeat.
# - A classic group of consumers becomes a consumer group when the first member joins this way.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.coordinator.groups.consumer.heartbeat import answer
from broker_embedded.errors import KafkaError, KafkaStorageError, NotCoordinatorError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.consumer_groups import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(68, versions=(0, 1))
async def handle(
    cluster: Cluster, request: ConsumerGroupHeartbeatRequest, context: RequestContext
) -> ConsumerGroupHeartbeatResponse:
    try:
        return answer(cluster, request, context)
    except KafkaStorageError as error:  # the client is to look for the coordinator again
        return ConsumerGroupHeartbeatResponse(NotCoordinatorError.info.code, str(error))
    except KafkaError as error:
        return ConsumerGroupHeartbeatResponse(error.code, str(error))
