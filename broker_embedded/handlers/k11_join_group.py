# 11 JoinGroup: become a member of a classic group, or take part in its next generation. Waits for the others.
#
# - Version 4 and newer: a member without an id is given one first (MEMBER_ID_REQUIRED, KIP-394), unless it is static
#   (version 5, KIP-345). Version 0 has no rebalance timeout; version 7 tells the protocol type; version 8 carries the
#   reason (KIP-800); version 9 tells a static leader to leave the assignments alone (KIP-814).
# - INVALID_SESSION_TIMEOUT outside of group.min.session.timeout.ms and group.max.session.timeout.ms.
# - Before version 7 a name that is missing is an empty one.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidSessionTimeoutError, KafkaError, KafkaStorageError, NotCoordinatorError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.groups import JoinGroupRequest, JoinGroupResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_NAME_MAY_BE_NULL_SINCE = 7


@handler(11, versions=(0, 9))
async def handle(cluster: Cluster, request: JoinGroupRequest, context: RequestContext) -> JoinGroupResponse:
    try:
        response = await _join(cluster, request, context)
    except KafkaStorageError:
        response = JoinGroupResponse(NotCoordinatorError.info.code, member_id=request.member_id)
    except KafkaError as error:
        response = JoinGroupResponse(error.code, member_id=request.member_id)
    if response.protocol_name is None and context.api_version < _NAME_MAY_BE_NULL_SINCE:
        response.protocol_name = ""
    return response


async def _join(cluster: Cluster, request: JoinGroupRequest, context: RequestContext) -> JoinGroupResponse:
    shortest, longest = cluster.config.group_min_session_timeout_ms, cluster.config.group_max_session_timeout_ms
    if request.group_id and not shortest <= request.session_timeout_ms <= longest:
        raise InvalidSessionTimeoutError(
            f"session timeout of {request.session_timeout_ms} ms: {shortest} (group.min.session.timeout.ms) to "
            f"{longest} (group.max.session.timeout.ms) are allowed"
        )
    return await cluster.groups.to_join(request.group_id, request.member_id).join(request, context)
