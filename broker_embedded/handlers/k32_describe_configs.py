# 32 DescribeConfigs: every config of a topic, a broker or a group, with its source, type and synonyms.
#
# - `configuration_keys` null, or empty, is all. Documentation comes when asked for (KIP-569), synonyms too (KIP-226).
# - A broker named "" is all brokers: what is set for them while they run. A group need not exist.
# - Passwords are told to nobody, nor what this broker does not know: it might be one.
# - Loggers have no configs here: the broker logs with Python's `logging`. Client metrics are not collected.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.configs.rows import Row, broker_rows, default_broker_rows, group_rows, topic_rows
from broker_embedded.errors import InvalidRequestError, KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.topics import check_name
from broker_embedded.wire.messages.configs import (
    RESOURCE_BROKER,
    RESOURCE_BROKER_LOGGER,
    RESOURCE_CLIENT_METRICS,
    RESOURCE_GROUP,
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


@handler(32, versions=(1, 4))
async def handle(cluster: Cluster, request: DescribeConfigsRequest, context: RequestContext) -> DescribeConfigsResponse:
    return DescribeConfigsResponse([_describe(cluster, resource, request) for resource in request.resources])


def _describe(
    cluster: Cluster, resource: DescribeConfigsResource, request: DescribeConfigsRequest
) -> DescribeConfigsResult:
    kind, name, keys = resource.resource_type, resource.resource_name, resource.configuration_keys
    try:
        rows = [row for row in _rows(cluster, kind, name) if not keys or row.definition.name in keys]
    except KafkaError as error:
        return DescribeConfigsResult(kind, name, error.code, str(error))
    described = [_described(row, request) for row in rows]
    return DescribeConfigsResult(kind, name, error_message="", configs=described)


def _rows(cluster: Cluster, kind: int, name: str) -> list[Row]:
    if kind == RESOURCE_TOPIC:
        check_name(name)
        return topic_rows(cluster, cluster.topic(name).configs)
    if kind == RESOURCE_BROKER:
        return _broker_rows(cluster, name)
    if kind == RESOURCE_GROUP:
        if not name:
            raise InvalidRequestError("Group name must not be empty")
        return group_rows(cluster, name)
    if kind == RESOURCE_BROKER_LOGGER:
        raise InvalidRequestError("This broker has no loggers to describe: it logs with Python's `logging`")
    if kind == RESOURCE_CLIENT_METRICS:
        raise InvalidRequestError("This broker collects no metrics from clients, so there is nothing to subscribe to")
    raise InvalidRequestError(f"Resource type {kind} has no configs: topic (2), broker (4) and group (32) have")


def _broker_rows(cluster: Cluster, name: str) -> list[Row]:
    node = str(cluster.config.node_id)
    if not name:
        return default_broker_rows(cluster)
    if name == node:
        return broker_rows(cluster)
    if not name.removeprefix("-").isdecimal():
        raise InvalidRequestError(f"Broker id must be an integer, but it is: {name}")
    raise InvalidRequestError(f"Unexpected broker id, expected {node} or empty string, but received {name}")


def _described(row: Row, request: DescribeConfigsRequest) -> DescribeConfigsResourceResult:
    known = row.definition
    synonyms = row.synonyms if request.include_synonyms else []
    return DescribeConfigsResourceResult(
        known.name,
        row.value,
        row.read_only,
        row.source,
        row.is_sensitive,
        [DescribeConfigsSynonym(*synonym) for synonym in synonyms],
        known.type,
        known.documentation if request.include_documentation else None,
    )
