# 15 DescribeGroups: state, protocol and members of classic groups.
#
# - A group that does not exist, or is of another kind, is GROUP_ID_NOT_FOUND from version 6 on (KIP-1043), and a group
#   in state Dead before that. What members tell the leader is shown of a stable group only.
# - Version 3: operations the client may do on the group, if it asks. Version 4: instance ids (KIP-345).
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import GroupIdNotFoundError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.groups import DescribedGroup, DescribeGroupsRequest, DescribeGroupsResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_NOT_FOUND_SINCE = 6


@handler(15, versions=(0, 6))
async def handle(cluster: Cluster, request: DescribeGroupsRequest, context: RequestContext) -> DescribeGroupsResponse:
    rows = [_described(cluster, group_id, context) for group_id in request.groups]
    if request.include_authorized_operations:
        from broker_embedded.security.acls import ResourceType  # only admins ask
        from broker_embedded.security.authorizer import authorized_operations

        for row in rows:
            if row.error_code == 0:
                row.authorized_operations = authorized_operations(cluster, context, ResourceType.GROUP, row.group_id)
    return DescribeGroupsResponse(rows)


def _described(cluster: Cluster, group_id: str, context: RequestContext) -> DescribedGroup:
    from broker_embedded.coordinator.groups.classic.group import ClassicGroup  # when first needed

    group = cluster.groups.get(group_id)
    if isinstance(group, ClassicGroup):
        return group.describe()
    row = DescribedGroup(group_id, group_state="Dead")
    if context.api_version >= _NOT_FOUND_SINCE:
        row.error_code = GroupIdNotFoundError.info.code
        row.error_message = (
            f"Group {group_id} not found." if group is None else f"Group {group_id} is not a classic group."
        )
    return row
