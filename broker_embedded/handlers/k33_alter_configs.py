# 33 AlterConfigs: all configs that a topic, a broker or a group is to have; what is not named is taken away.
#
# - Superseded by IncrementalAlterConfigs (KIP-339), which older clients do not know.
# - All changes of a resource are checked together and made together; with a bad one nothing is made.
from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from broker_embedded.configs import resources
from broker_embedded.errors import InvalidRequestError, KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.configs import (
    AlterConfigsRequest,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
    LegacyAlterConfigsResource,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(33, versions=(0, 2))
async def handle(cluster: Cluster, request: AlterConfigsRequest, context: RequestContext) -> AlterConfigsResponse:
    counts = Counter((resource.resource_type, resource.resource_name) for resource in request.resources)
    return AlterConfigsResponse([_alter(cluster, row, request.validate_only, counts) for row in request.resources])


def _alter(
    cluster: Cluster, row: LegacyAlterConfigsResource, validate_only: bool, counts: Counter[tuple[int, str]]
) -> AlterConfigsResourceResponse:
    kind, name = row.resource_type, row.resource_name
    try:
        if counts[kind, name] > 1:
            raise InvalidRequestError("Each resource must appear at most once.")
        nulls = [config.name for config in row.configs if config.value is None]
        resources.check_request(kind, (config.name for config in row.configs), nulls)
        resources.stored(cluster, kind, name)
        configs = {config.name: config.value or "" for config in row.configs}
        resources.check(cluster, kind, name, configs)
        if not validate_only:
            resources.store(cluster, kind, name, configs)
    except KafkaError as error:
        return AlterConfigsResourceResponse(kind, name, error.code, str(error))
    return AlterConfigsResourceResponse(kind, name)
