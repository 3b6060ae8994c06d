# 14 SyncGroup: the leader of a classic group hands in the assignments, and the members get theirs, when it has.
#
# - REBALANCE_IN_PROGRESS when the next rebalance begins meanwhile. Version 3: static members (KIP-345). Version 5 names
#   protocol type and protocol, which must be there and be the group's (INCONSISTENT_GROUP_PROTOCOL, KIP-559).
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import InconsistentGroupProtocolError, KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.groups import SyncGroupRequest, SyncGroupResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_NAMES_PROTOCOL_SINCE = 5


@handler(14, versions=(0, 5))
async def handle(cluster: Cluster, request: SyncGroupRequest, context: RequestContext) -> SyncGroupResponse:
    is_named = request.protocol_type is not None and request.protocol_name is not None
    if context.api_version >= _NAMES_PROTOCOL_SINCE and not is_named:
        return SyncGroupResponse(InconsistentGroupProtocolError.info.code)
    try:
        return await cluster.groups.of_member(request.group_id).sync(request, context)
    except KafkaError as error:
        return SyncGroupResponse(error.code)
