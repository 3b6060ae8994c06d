# 42 DeleteGroups: groups without members, with their offsets.
#
# - NON_EMPTY_GROUP for one with members, GROUP_ID_NOT_FOUND for one that does not exist; the others are deleted.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import GroupIdNotFoundError, KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.groups import DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(42, versions=(0, 2))
async def handle(cluster: Cluster, request: DeleteGroupsRequest, context: RequestContext) -> DeleteGroupsResponse:
    return DeleteGroupsResponse([DeletableGroupResult(name, _delete(cluster, name)) for name in request.groups_names])


def _delete(cluster: Cluster, group_id: str) -> int:
    group = cluster.groups.get(group_id)
    if group is None:
        return GroupIdNotFoundError.info.code
    try:
        group.check_delete()
        cluster.groups.remove(group)
    except KafkaError as error:
        return error.code
    return 0
