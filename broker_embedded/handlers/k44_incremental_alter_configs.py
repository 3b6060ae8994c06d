# 44 IncrementalAlterConfigs: set or delete configs of a topic, append to or subtract from its lists.
#
# - All changes of a topic are checked together and made together; a bad one is INVALID_CONFIG and nothing is made.
# - Setting to null deletes. The broker's own settings are fixed when it is opened.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidConfigError, InvalidRequestError, KafkaError
from broker_embedded.folder import log_config
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.topic_configs import TOPIC_CONFIGS, ConfigType
from broker_embedded.wire.messages.configs import (
    OPERATION_APPEND,
    OPERATION_DELETE,
    OPERATION_SET,
    OPERATION_SUBTRACT,
    RESOURCE_TOPIC,
    AlterableConfig,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker_embedded.cluster import Cluster


@handler(44, versions=(0, 1))
async def handle(
    cluster: Cluster, request: IncrementalAlterConfigsRequest, context: RequestContext
) -> IncrementalAlterConfigsResponse:
    return IncrementalAlterConfigsResponse(
        [_alter(cluster, resource, request.validate_only) for resource in request.resources]
    )


def _alter(cluster: Cluster, resource: AlterConfigsResource, validate_only: bool) -> AlterConfigsResourceResponse:
    answer = AlterConfigsResourceResponse(resource.resource_type, resource.resource_name)
    try:
        if resource.resource_type != RESOURCE_TOPIC:
            raise InvalidRequestError(
                "only the configs of topics can be altered; the broker's are set when it is opened"
            )
        topic = cluster.topic(resource.resource_name)
        configs = dict(topic.configs)
        for change in resource.configs:
            _apply(configs, cluster.config.topic_defaults, change)
        log_config(configs, cluster.config)
        if not validate_only:
            cluster.folder.configure(topic, configs, cluster.config)
    except KafkaError as error:
        answer.error_code, answer.error_message = error.code, str(error)
    return answer


def _apply(configs: dict[str, str], defaults: Mapping[str, str], change: AlterableConfig) -> None:
    operation = change.config_operation
    if operation == OPERATION_DELETE or (operation == OPERATION_SET and change.value is None):
        configs.pop(change.name, None)
    elif operation == OPERATION_SET:
        configs[change.name] = change.value or ""
    elif operation in (OPERATION_APPEND, OPERATION_SUBTRACT):
        known = TOPIC_CONFIGS.get(change.name)
        if known is None or known.type is not ConfigType.LIST:
            raise InvalidConfigError(f"{change.name} is not a list: it can be set or deleted")
        present = configs.get(change.name, defaults.get(change.name, known.default))
        entries = [entry for entry in present.split(",") if entry]
        named = [entry for entry in (change.value or "").split(",") if entry]
        if operation == OPERATION_APPEND:
            entries += [entry for entry in named if entry not in entries]
        else:
            entries = [entry for entry in entries if entry not in named]
        configs[change.name] = ",".join(entries)
    else:
        raise InvalidRequestError(f"operation {operation}: set (0), delete (1), append (2) and subtract (3) are known")
