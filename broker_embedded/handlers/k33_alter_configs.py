# 33 AlterConfigs: all configs that a topic, a broker or a group is to have; what is not named is taken away.
#
# - Superseded by IncrementalAlterConfigs (KIP-339), which older clients do not know.
# - What is wrong with a change, and how it is made, is the same for both: see configs/resources.py.
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from broker_embedded.configs import resources
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.configs import (
    AlterConfigsRequest,
    AlterConfigsResponse,
    LegacyAlterConfigsResource,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(33, versions=(0, 2))
async def handle(cluster: Cluster, request: AlterConfigsRequest, context: RequestContext) -> AlterConfigsResponse:
    return AlterConfigsResponse(
        resources.alter(cluster, request.resources, _change, validate_only=request.validate_only)
    )


def _change(row: LegacyAlterConfigsResource, stored: Mapping[str, str]) -> dict[str, str]:
    return {config.name: config.value or "" for config in row.configs}
