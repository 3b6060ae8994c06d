# 10 FindCoordinator: which broker coordinates a group or a transactional id. It is this one.
#
# - A list of keys from version 4 on, one before; the address is that of the listener by which the client came.
# - Key type 2 is a share partition (version 6, KIP-932); there are no share groups here: INVALID_REQUEST, as in a Kafka
#   without them.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidRequestError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.groups import Coordinator, FindCoordinatorRequest, FindCoordinatorResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_GROUP, _TRANSACTION = 0, 1
_LISTS_SINCE = 4


@handler(10, versions=(0, 6))
async def handle(cluster: Cluster, request: FindCoordinatorRequest, context: RequestContext) -> FindCoordinatorResponse:
    if request.key_type not in (_GROUP, _TRANSACTION):
        error = InvalidRequestError(f"key type {request.key_type} has no coordinator here: 0 (group), 1 (transaction)")
        return FindCoordinatorResponse(
            [Coordinator(key, error_code=error.code, error_message=str(error)) for key in request.coordinator_keys]
        )
    node_id, host, port = cluster.advertised(context)
    message = "" if context.api_version >= _LISTS_SINCE else "NONE"  # as Kafka has it
    return FindCoordinatorResponse(
        [Coordinator(key, node_id, host, port, 0, message) for key in request.coordinator_keys]
    )
