# 74 ListConfigResources: which topics and groups have configs of their own, and the brokers (KIP-1142).
#
# - No types: all of them. Version 0 knew client metrics only, of which there are none here.
# - The broker is there as a logger too: Kafka's tools ask for one, whether its levels can be described or not.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import UnsupportedVersionError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.configs import (
    RESOURCE_BROKER,
    RESOURCE_BROKER_LOGGER,
    RESOURCE_CLIENT_METRICS,
    RESOURCE_GROUP,
    RESOURCE_TOPIC,
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_KINDS = (RESOURCE_CLIENT_METRICS, RESOURCE_BROKER_LOGGER, RESOURCE_BROKER, RESOURCE_GROUP, RESOURCE_TOPIC)


@handler(74, versions=(0, 1))
async def handle(
    cluster: Cluster, request: ListConfigResourcesRequest, context: RequestContext
) -> ListConfigResourcesResponse:
    if context.api_version == 0:
        return ListConfigResourcesResponse()
    wanted = set(request.resource_types or _KINDS)
    if not wanted <= set(_KINDS):
        return ListConfigResourcesResponse(UnsupportedVersionError.info.code)
    rows = [ConfigResource(name, kind) for kind in _KINDS if kind in wanted for name in _names(cluster, kind)]
    return ListConfigResourcesResponse(0, rows)


def _names(cluster: Cluster, kind: int) -> list[str]:
    if kind == RESOURCE_TOPIC:
        return list(cluster.topics)
    if kind in (RESOURCE_BROKER, RESOURCE_BROKER_LOGGER):
        return [str(cluster.config.node_id)]
    return cluster.metadata.resources_with_configs(kind)
