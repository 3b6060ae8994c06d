# 3 Metadata: brokers, topics, partitions.
#
# - `topics` null is all, empty is none. A topic is asked for by name or by id (an unknown id: UNKNOWN_TOPIC_ID).
# - A name that is asked for and missing is made only if request and broker both allow it; that answer still says
#   UNKNOWN_TOPIC_OR_PARTITION, as Kafka's does. An impossible name is INVALID_TOPIC_EXCEPTION.
from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from broker_embedded.errors import KafkaError, UnknownTopicOrPartitionError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.topics import Topic, check_name
from broker_embedded.wire.messages.topics import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_LEADER_EPOCH = 0


@handler(3, versions=(0, 13))
async def handle(cluster: Cluster, request: MetadataRequest, context: RequestContext) -> MetadataResponse:
    if request.topics is None:
        rows = [_describe(cluster, topic) for topic in cluster.topics.values()]
    else:
        rows = [_find(cluster, row, request.allow_auto_topic_creation) for row in request.topics]
    return MetadataResponse(
        brokers=[MetadataResponseBroker(*cluster.advertised(context))],
        cluster_id=cluster.folder.meta.cluster_id,
        controller_id=cluster.config.node_id,
        topics=rows,
    )


def _find(cluster: Cluster, row: MetadataRequestTopic, may_create: bool) -> MetadataResponseTopic:
    try:
        return _describe(cluster, cluster.topic(row.name, row.topic_id))
    except UnknownTopicOrPartitionError as error:
        failure: KafkaError = error
        try:
            check_name(row.name or "")
            if may_create and cluster.config.auto_create_topics:
                cluster.add_topics([Topic(row.name or "", uuid4(), cluster.config.num_partitions)])
        except KafkaError as other:
            failure = other
    except KafkaError as error:
        failure = error
    return MetadataResponseTopic(failure.code, row.name, row.topic_id)


def _describe(cluster: Cluster, topic: Topic) -> MetadataResponseTopic:
    node = cluster.config.node_id
    partitions = [
        MetadataResponsePartition(index, 0, node, _LEADER_EPOCH, [node], [node])
        for index in range(len(topic.partitions))
    ]
    return MetadataResponseTopic(0, topic.name, topic.id, topic.is_internal, partitions)
