# 20 DeleteTopics, by name or, from version 6 on, by id.
#
# - A topic that is there twice, by its name, its id or both, stays.
# - Groups lose their offsets for a deleted topic. Who waits in a fetch there learns that it is gone.
# - Internal topics stay (Kafka would delete them): groups and transactions live in them.
# - `delete.topic.enable=false` refuses all.
from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from uuid import UUID

from broker_embedded.errors import InvalidRequestError, InvalidTopicError, KafkaError, TopicDeletionDisabledError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.metadata import NO_ID
from broker_embedded.wire.messages.topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.topics import Topic

Key = tuple[str | None, UUID | None]


@handler(20, versions=(1, 6))
async def handle(cluster: Cluster, request: DeleteTopicsRequest, context: RequestContext) -> DeleteTopicsResponse:
    if not cluster.config.delete_topic_enable:
        raise TopicDeletionDisabledError("Topic deletion is disabled.")
    counts = Counter(_key(row) for row in request.topics)
    for name, topic_id in list(counts):
        if topic_id is None and name in cluster.topics:
            counts[name, None] += counts.pop((None, cluster.topics[name].id), 0)  # the same topic, said otherwise
    return DeleteTopicsResponse([await _delete(cluster, key, count) for key, count in counts.items()])


def _key(row: DeleteTopicState) -> Key:
    return (row.name, None if row.topic_id == NO_ID else row.topic_id)


async def _delete(cluster: Cluster, key: Key, count: int) -> DeletableTopicResult:
    try:
        topic = _find(cluster, key, count)
        if topic.is_internal:
            raise InvalidTopicError(f"Topic '{topic.name}' is internal: groups or transactions live in it")
        await cluster.remove_topic(topic)
    except KafkaError as error:
        return DeletableTopicResult(*key, error.code, str(error))
    return DeletableTopicResult(topic.name, topic.id)


def _find(cluster: Cluster, key: Key, count: int) -> Topic:
    name, topic_id = key
    if name is None and topic_id is None:
        raise InvalidRequestError("Neither topic name nor id were specified.")
    if name is not None and topic_id is not None:
        raise InvalidRequestError("You may not specify both topic name and topic id.")
    if count > 1:
        raise InvalidRequestError("Duplicate topic name." if topic_id is None else "Duplicate topic id.")
    return cluster.topic(name, topic_id)
