# 46 ListPartitionReassignments: nothing is ever in progress, as there is one broker (KIP-455).
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.cluster import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(46, versions=(0, 0))
async def handle(
    cluster: Cluster, request: ListPartitionReassignmentsRequest, context: RequestContext
) -> ListPartitionReassignmentsResponse:
    return ListPartitionReassignmentsResponse()
