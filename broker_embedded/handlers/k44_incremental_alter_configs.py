# 44 IncrementalAlterConfigs: set or delete configs of a topic, a broker or a group, append to or subtract from lists.
#
# - All changes of a resource are checked together and made together; with a bad one nothing is made.
# - A broker named "" is all brokers. What is set for brokers is followed at once; Kafka's settings that it can change
#   while it runs, and this broker can't (listeners, TLS), are refused as those are that nobody can.
# - What is wrong with a broker's config is INVALID_REQUEST, with a topic's or group's INVALID_CONFIG (KAFKA-13609).
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from broker_embedded.configs import resources
from broker_embedded.errors import InvalidRequestError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.configs import (
    OPERATION_APPEND,
    OPERATION_DELETE,
    OPERATION_SET,
    OPERATION_SUBTRACT,
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(44, versions=(0, 1))
async def handle(
    cluster: Cluster, request: IncrementalAlterConfigsRequest, context: RequestContext
) -> IncrementalAlterConfigsResponse:
    return IncrementalAlterConfigsResponse(
        resources.alter(cluster, request.resources, _change, validate_only=request.validate_only)
    )


def _change(row: AlterConfigsResource, stored: Mapping[str, str]) -> dict[str, str]:
    configs = dict(stored)
    for change in row.configs:
        _apply(configs, row.resource_type, change)
    return configs


def _apply(configs: dict[str, str], kind: int, change: AlterableConfig) -> None:
    name, value = change.name, change.value or ""
    if change.config_operation == OPERATION_SET:
        configs[name] = value
    elif change.config_operation == OPERATION_DELETE:
        configs.pop(name, None)
    elif change.config_operation == OPERATION_APPEND:
        entries = resources.list_entries(kind, name, configs.get(name), "APPEND")
        configs[name] = ",".join(dict.fromkeys([*entries, *value.split(",")]))
    elif change.config_operation == OPERATION_SUBTRACT:
        entries = resources.list_entries(kind, name, configs.get(name), "SUBTRACT")
        configs[name] = ",".join(entry for entry in entries if entry not in value.split(","))
    else:
        raise InvalidRequestError(f"Unknown operations type {change.config_operation}")
