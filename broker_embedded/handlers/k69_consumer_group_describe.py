# 69 ConsumerGroupDescribe: members of consumer groups, what they have and what they are to have.
#
# - A group that is not there, or is a classic one, is GROUP_ID_NOT_FOUND in its own row (clients then ask with
#   DescribeGroups).
# - Operations the client may do on the group, if it asks.
# - Version 1 adds the type of each member: while a group is being upgraded, some speak the classic protocol.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.coordinator.groups.consumer.describe import describe
from broker_embedded.coordinator.groups.consumer.heartbeat import find
from broker_embedded.errors import InvalidGroupIdError, KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.consumer_groups import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    DescribedGroup,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(69, versions=(0, 1))
async def handle(
    cluster: Cluster, request: ConsumerGroupDescribeRequest, context: RequestContext
) -> ConsumerGroupDescribeResponse:
    rows = [_group(cluster, group_id) for group_id in request.group_ids]
    if request.include_authorized_operations:
        from broker_embedded.security.acls import ResourceType  # only admins ask
        from broker_embedded.security.authorizer import authorized_operations

        for row in rows:
            if row.error_code == 0:
                row.authorized_operations = authorized_operations(cluster, context, ResourceType.GROUP, row.group_id)
    return ConsumerGroupDescribeResponse(rows)


def _group(cluster: Cluster, group_id: str) -> DescribedGroup:
    if not group_id:
        return DescribedGroup(group_id, InvalidGroupIdError.info.code)
    try:
        return describe(find(cluster, group_id))
    except KafkaError as error:
        return DescribedGroup(group_id, error.code, str(error))
