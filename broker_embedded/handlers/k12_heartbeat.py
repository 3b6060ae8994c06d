# 12 Heartbeat: a member of a classic group is alive, and learns whether it has to join again.
#
# - REBALANCE_IN_PROGRESS while the group waits for JoinGroups; ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, and for static
#   members (version 3, KIP-345) FENCED_INSTANCE_ID.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.groups import HeartbeatRequest, HeartbeatResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(12, versions=(0, 4))
async def handle(cluster: Cluster, request: HeartbeatRequest, context: RequestContext) -> HeartbeatResponse:
    try:
        return cluster.groups.of_member(request.group_id).heartbeat(request, context)
    except KafkaError as error:
        return HeartbeatResponse(error.code)
