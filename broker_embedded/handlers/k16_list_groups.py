# 16 ListGroups: every group with its state, of both protocols.
#
# - Filters by state (version 4, KIP-518) and by type (version 5, KIP-848), in any case; empty ones let all through.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.groups import ListedGroup, ListGroupsRequest, ListGroupsResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(16, versions=(0, 5))
async def handle(cluster: Cluster, request: ListGroupsRequest, context: RequestContext) -> ListGroupsResponse:
    groups = cluster.groups.all()
    rows = [ListedGroup(group.group_id, group.protocol_type, group.state, group.kind) for group in groups]
    return ListGroupsResponse(
        groups=[
            row
            for row in rows
            if _passes(row.group_state, request.states_filter) and _passes(row.group_type, request.types_filter)
        ]
    )


def _passes(value: str, wanted: list[str]) -> bool:
    return not wanted or value.lower() in [one.lower() for one in wanted]
