# 37 CreatePartitions: a topic grows to a number of partitions. Not growing is INVALID_PARTITIONS; every topic asked for
# has its answer.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidPartitionsError, InvalidTopicError, KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.topics import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(37, versions=(0, 3))
async def handle(
    cluster: Cluster, request: CreatePartitionsRequest, context: RequestContext
) -> CreatePartitionsResponse:
    return CreatePartitionsResponse([_grow(cluster, row, request.validate_only) for row in request.topics])


def _grow(cluster: Cluster, row: CreatePartitionsTopic, validate_only: bool) -> CreatePartitionsTopicResult:
    try:
        topic = cluster.topic(row.name)
        if topic.is_internal:
            raise InvalidTopicError(f"topic {row.name!r} is internal: its partitions are where groups are looked up")
        if row.count <= topic.partition_count:
            raise InvalidPartitionsError(
                f"topic {row.name!r} has {topic.partition_count} partitions, {row.count} is no growth"
            )
        if not validate_only:
            cluster.folder.grow(topic, row.count, cluster.config, cluster.now_ms)
    except KafkaError as error:
        return CreatePartitionsTopicResult(row.name, error.code, str(error))
    return CreatePartitionsTopicResult(row.name)
