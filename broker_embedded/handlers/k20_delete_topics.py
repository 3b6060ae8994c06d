# 20 DeleteTopics, by name or id. Internal topics stay. Groups lose their offsets for a deleted topic.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidTopicError, KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(20, versions=(1, 6))
async def handle(cluster: Cluster, request: DeleteTopicsRequest, context: RequestContext) -> DeleteTopicsResponse:
    return DeleteTopicsResponse([await _delete(cluster, row) for row in request.topics])


async def _delete(cluster: Cluster, row: DeleteTopicState) -> DeletableTopicResult:
    try:
        topic = cluster.topic(row.name, row.topic_id)
        if topic.is_internal:
            raise InvalidTopicError(f"topic {topic.name!r} is internal and cannot be deleted")
        await cluster.remove_topic(topic)
    except KafkaError as error:
        return DeletableTopicResult(row.name, row.topic_id, error.code, str(error))
    return DeletableTopicResult(topic.name, topic.id)
