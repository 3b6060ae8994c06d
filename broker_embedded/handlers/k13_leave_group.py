# 13 LeaveGroup: members go, and what they had is shared by the others at once.
#
# - Several members from version 3 on, each with an answer of its own; a static one may be named by its instance id
#   alone, which is how admins send members away (KIP-345). Version 5 carries a reason (KIP-800).
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import KafkaError, UnknownMemberIdError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.groups import LeaveGroupRequest, LeaveGroupResponse, MemberResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(13, versions=(0, 5))
async def handle(cluster: Cluster, request: LeaveGroupRequest, context: RequestContext) -> LeaveGroupResponse:
    try:
        return cluster.groups.of_member(request.group_id).leave(request, context)
    except UnknownMemberIdError as error:  # there is no such group
        rows = [MemberResponse(row.member_id, row.group_instance_id, error.code) for row in request.members]
        return LeaveGroupResponse(members=rows)
    except KafkaError as error:
        return LeaveGroupResponse(error.code)
