# 32 DescribeConfigs: every config of a topic or of the broker, with its source, type and synonyms.
#
# - `configuration_keys` null is all. Documentation comes when asked for.
# - A topic's value comes from the topic, else from the broker's `topic_defaults`, else from Kafka's defaults.
from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidRequestError, KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.topic_configs import ConfigSource, ConfigType, layered
from broker_embedded.wire.messages.configs import (
    RESOURCE_BROKER,
    RESOURCE_TOPIC,
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

# Broker settings that Kafka knows under the same name; ours is `flush.on.commit`.
_NAMES = {"auto_create_topics": "auto.create.topics.enable", "sync_on_commit": "flush.on.commit"}
_TYPES = {bool: ConfigType.BOOLEAN, int: ConfigType.INT}


@handler(32, versions=(1, 4))
async def handle(cluster: Cluster, request: DescribeConfigsRequest, context: RequestContext) -> DescribeConfigsResponse:
    return DescribeConfigsResponse([_describe(cluster, resource, request) for resource in request.resources])


def _describe(
    cluster: Cluster, resource: DescribeConfigsResource, request: DescribeConfigsRequest
) -> DescribeConfigsResult:
    answer = DescribeConfigsResult(resource.resource_type, resource.resource_name)
    try:
        if resource.resource_type == RESOURCE_TOPIC:
            answer.configs = _topic_rows(cluster, resource.resource_name, request.include_documentation)
        elif resource.resource_type == RESOURCE_BROKER:
            answer.configs = _broker_rows(cluster, resource.resource_name)
        else:
            raise InvalidRequestError(
                f"resource type {resource.resource_type} has no configs; topics (2) and brokers (4)"
            )
    except KafkaError as error:
        answer.error_code, answer.error_message = error.code, str(error)
    if resource.configuration_keys is not None:
        answer.configs = [row for row in answer.configs if row.name in resource.configuration_keys]
    if not request.include_synonyms:
        for row in answer.configs:
            row.synonyms = []
    return answer


def _topic_rows(cluster: Cluster, name: str, with_documentation: bool) -> list[DescribeConfigsResourceResult]:
    return [
        DescribeConfigsResourceResult(
            row.name,
            row.values[0][0],
            config_source=row.values[0][1],
            synonyms=[DescribeConfigsSynonym(row.name, value, source) for value, source in row.values],
            config_type=row.config.type,
            documentation=row.config.documentation if with_documentation else None,
        )
        for row in layered(cluster.topic(name).configs, cluster.config.topic_defaults)
    ]


def _broker_rows(cluster: Cluster, name: str) -> list[DescribeConfigsResourceResult]:
    if name not in ("", str(cluster.config.node_id)):
        raise InvalidRequestError(f"broker {name!r} is not this one, which is {cluster.config.node_id}")
    rows = []
    for field in fields(cluster.config):
        value = getattr(cluster.config, field.name)
        if type(value) not in _TYPES:
            continue
        text = str(value).lower()
        source = ConfigSource.DEFAULT if value == field.default else ConfigSource.BROKER
        config = _NAMES.get(field.name, field.name.replace("_", "."))
        synonyms = [DescribeConfigsSynonym(config, text, source)]
        rows.append(
            DescribeConfigsResourceResult(
                config,
                text,
                read_only=True,
                config_source=source,
                synonyms=synonyms,
                config_type=_TYPES[type(value)],
            )
        )
    return rows
