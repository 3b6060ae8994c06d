# 19 CreateTopics.
#
# - Names by Kafka's rule, and not one that differs from another only in . and _ (their metrics would be the same).
# - -1 partitions or replicas are the broker's default. One node: any other number of replicas than 1 is refused.
# - Every config is checked (INVALID_CONFIG) before anything is made; `validate_only` stops there.
# - The topics of one request are made in one step.
from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from uuid import uuid4

from broker_embedded.errors import (
    InvalidConfigError,
    InvalidPartitionsError,
    InvalidReplicaAssignmentError,
    InvalidReplicationFactorError,
    InvalidRequestError,
    InvalidTopicError,
    KafkaError,
    TopicAlreadyExistsError,
)
from broker_embedded.folder import log_config
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.topic_configs import layered
from broker_embedded.topics import Topic, check_name
from broker_embedded.wire.messages.topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(19, versions=(2, 7))
async def handle(cluster: Cluster, request: CreateTopicsRequest, context: RequestContext) -> CreateTopicsResponse:
    twice = {name for name, count in Counter(row.name for row in request.topics).items() if count > 1}
    results: dict[str, CreatableTopicResult] = {}
    made: list[Topic] = []
    for row in request.topics:
        try:
            if row.name in twice:
                raise InvalidRequestError(f"topic {row.name!r} is named twice in one request")
            topic = _checked(cluster, row, made)
            made.append(topic)
            results[row.name] = _made(cluster, topic)
        except KafkaError as error:
            results[row.name] = CreatableTopicResult(row.name, None, error.code, str(error))
    if made and not request.validate_only:
        try:
            cluster.add_topics(made)
        except KafkaError as error:
            for topic in made:
                results[topic.name] = CreatableTopicResult(topic.name, None, error.code, str(error))
    return CreateTopicsResponse(list(results.values()))


def _made(cluster: Cluster, topic: Topic) -> CreatableTopicResult:
    configs = [
        CreatableTopicConfigs(row.name, row.values[0][0], config_source=row.values[0][1])
        for row in layered(topic.configs, cluster.config.topic_defaults)
    ]
    return CreatableTopicResult(
        topic.name, topic.id, num_partitions=topic.partition_count, replication_factor=1, configs=configs
    )


def _checked(cluster: Cluster, row: CreatableTopic, made: list[Topic]) -> Topic:
    check_name(row.name)
    if row.name in cluster.topics:
        raise TopicAlreadyExistsError(f"topic {row.name!r} exists")
    for other in (*cluster.topics, *(topic.name for topic in made)):
        if other.replace(".", "_") == row.name.replace(".", "_"):
            raise InvalidTopicError(f"topic {row.name!r} differs from {other!r} only in '.' and '_'; rename one")
    count = _partition_count(cluster, row)
    if row.replication_factor not in (-1, 1):
        raise InvalidReplicationFactorError(
            f"{row.replication_factor} replicas of {row.name!r}: this is a single broker"
        )
    topic = Topic(row.name, uuid4(), count, {config.name: _value(config.name, config.value) for config in row.configs})
    log_config(topic.configs, cluster.config)
    return topic


def _value(name: str, value: str | None) -> str:
    if value is None:
        raise InvalidConfigError(f"{name} is null: leave it out for the default")
    return value


def _partition_count(cluster: Cluster, row: CreatableTopic) -> int:
    if row.assignments:
        if row.num_partitions != -1 or row.replication_factor != -1:
            raise InvalidRequestError(f"topic {row.name!r}: numbers and assignments of replicas exclude each other")
        indexes = sorted(assignment.partition_index for assignment in row.assignments)
        nodes = {tuple(assignment.broker_ids) for assignment in row.assignments}
        if indexes != list(range(len(indexes))) or nodes != {(cluster.config.node_id,)}:
            raise InvalidReplicaAssignmentError(
                f"topic {row.name!r}: partitions 0 to n-1 can be assigned, each to broker {cluster.config.node_id}"
            )
        return len(indexes)
    count = cluster.config.num_partitions if row.num_partitions == -1 else row.num_partitions
    if count < 1:
        raise InvalidPartitionsError(f"topic {row.name!r} with {count} partitions: at least 1")
    return count
