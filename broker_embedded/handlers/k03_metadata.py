# 3 Metadata: brokers, topics, partitions.
#
# - `topics` null is all, empty is none; in version 0, which had no null, empty is all. A topic is asked for by name, or
#   from version 12 on by id (UNKNOWN_TOPIC_ID); one that is asked for twice is told once.
# - A name that is asked for and missing is made only if request and broker both allow it; that answer still says
#   UNKNOWN_TOPIC_OR_PARTITION, as Kafka's does, and the next one has the topic. An impossible name is
#   INVALID_TOPIC_EXCEPTION; one that can't be made, as it differs from another only in . and _, stays unknown.
# - Authorized operations are bit fields, told when asked for (KIP-430).
from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import uuid4

from broker_embedded.errors import (
    InvalidRequestError,
    InvalidTopicError,
    KafkaError,
    UnknownTopicIdError,
    UnknownTopicOrPartitionError,
)
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.metadata import NO_ID
from broker_embedded.topics import INTERNAL_TOPICS, Topic, check_collision, check_name
from broker_embedded.wire.messages.topics import (
    MetadataRequest,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)

if TYPE_CHECKING:
    from uuid import UUID

    from broker_embedded.cluster import Cluster

log = logging.getLogger(__name__)

_HAS_IDS = 12


@handler(3, versions=(0, 13))
async def handle(cluster: Cluster, request: MetadataRequest, context: RequestContext) -> MetadataResponse:
    response = MetadataResponse(
        brokers=[MetadataResponseBroker(*cluster.advertised(context), rack=cluster.config.broker_rack)],
        cluster_id=cluster.folder.meta.cluster_id,
        controller_id=cluster.config.node_id,
        topics=_topics(cluster, request, context),
    )
    if request.include_topic_authorized_operations or request.include_cluster_authorized_operations:
        _add_operations(cluster, request, context, response)
    return response


def _add_operations(
    cluster: Cluster, request: MetadataRequest, context: RequestContext, response: MetadataResponse
) -> None:
    from broker_embedded.security.acls import CLUSTER_NAME, ResourceType  # few ask
    from broker_embedded.security.authorizer import authorized_operations

    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = authorized_operations(
            cluster, context, ResourceType.CLUSTER, CLUSTER_NAME
        )
    if request.include_topic_authorized_operations:
        for row in response.topics:
            if row.name is not None:
                row.topic_authorized_operations = authorized_operations(cluster, context, ResourceType.TOPIC, row.name)


def _topics(cluster: Cluster, request: MetadataRequest, context: RequestContext) -> list[MetadataResponseTopic]:
    if request.topics is None or (context.api_version == 0 and not request.topics):
        return [_describe(cluster, topic) for topic in cluster.topics.values()]
    has_ids = context.api_version >= _HAS_IDS
    if not has_ids and any(row.name is None or row.topic_id not in (None, NO_ID) for row in request.topics):
        code = InvalidRequestError.info.code  # topics are asked for by name; ids come with version 12
        return [MetadataResponseTopic(code, row.name or "", row.topic_id) for row in request.topics]
    ids = dict.fromkeys(row.topic_id for row in request.topics if row.topic_id not in (None, NO_ID))
    if ids:
        return [_by_id(cluster, topic_id) for topic_id in ids]
    names = dict.fromkeys(row.name or "" for row in request.topics)
    may_create = request.allow_auto_topic_creation and cluster.config.auto_create_topics
    return [_by_name(cluster, name, may_create) for name in names]


def _by_id(cluster: Cluster, topic_id: UUID | None) -> MetadataResponseTopic:
    try:
        return _describe(cluster, cluster.topic(None, topic_id))
    except UnknownTopicIdError as error:
        return MetadataResponseTopic(error.code, None, topic_id)


def _by_name(cluster: Cluster, name: str, may_create: bool) -> MetadataResponseTopic:
    if name in cluster.topics:
        return _describe(cluster, cluster.topics[name])
    try:
        check_name(name)
    except InvalidTopicError as error:
        return MetadataResponseTopic(error.code, name)
    if may_create:
        _create(cluster, name)
    return MetadataResponseTopic(UnknownTopicOrPartitionError.info.code, name, is_internal=name in INTERNAL_TOPICS)


def _create(cluster: Cluster, name: str) -> None:
    try:
        check_collision(name, cluster.topics)
        cluster.add_topics([Topic(name, uuid4(), cluster.config.num_partitions)])
    except KafkaError as error:
        log.warning("topic %r could not be made for a client that asked for it: %s", name, error)


def _describe(cluster: Cluster, topic: Topic) -> MetadataResponseTopic:
    node = cluster.config.node_id
    partitions = [
        MetadataResponsePartition(index, 0, node, source.leader_epoch, [node], [node])
        for index, source in enumerate(topic.partitions)
    ]
    return MetadataResponseTopic(0, topic.name, topic.id, topic.is_internal, partitions)
