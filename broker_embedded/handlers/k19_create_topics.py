# 19 CreateTopics.
#
# - Names by Kafka's rule, and not one that differs from another only in . and _ (their metrics would be the same).
# - -1 partitions or replicas are the broker's default. One broker keeps one replica: more are refused, or taken for one
#   up to `max.replication.factor`. Replicas assigned by hand must be this broker.
# - Every config is checked (INVALID_CONFIG) before anything is made; `validate_only` stops there.
# - The topics of one request are made in one step, 10,000 partitions at most. A name that is there twice is made not
#   even once. From version 5 on the answer has the configs (not for the process itself, which does not ask).
from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from uuid import uuid4

from broker_embedded.configs.topics import log_config
from broker_embedded.errors import (
    InvalidConfigError,
    InvalidPartitionsError,
    InvalidReplicaAssignmentError,
    InvalidReplicationFactorError,
    InvalidRequestError,
    KafkaError,
    PolicyViolationError,
)
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.topics import MOST_PARTITIONS, Topic, check_assignment, check_collision, check_name
from broker_embedded.wire.messages.topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_TELLS_CONFIGS = 5


@handler(19, versions=(2, 7))
async def handle(cluster: Cluster, request: CreateTopicsRequest, context: RequestContext) -> CreateTopicsResponse:
    counts = Counter(row.name for row in request.topics)
    results: dict[str, CreatableTopicResult] = {}
    made: list[Topic] = []
    for row in request.topics:
        try:
            if counts[row.name] > 1:
                raise InvalidRequestError("Duplicate topic name.")
            _check_size(cluster, request)
            made.append(_checked(cluster, row))
            results[row.name] = _made(cluster, made[-1], context)
        except KafkaError as error:
            results[row.name] = CreatableTopicResult(row.name, None, error.code, str(error))
    if made and not request.validate_only:
        try:
            cluster.add_topics(made)
        except KafkaError as error:
            for topic in made:
                results[topic.name] = CreatableTopicResult(topic.name, None, error.code, str(error))
    return CreateTopicsResponse(list(results.values()))


def _check_size(cluster: Cluster, request: CreateTopicsRequest) -> None:
    default = cluster.config.num_partitions
    count = sum(
        len(row.assignments) or (default if row.num_partitions == -1 else row.num_partitions) for row in request.topics
    )
    if count > MOST_PARTITIONS:
        raise PolicyViolationError("Excessively large number of partitions per request.")


def _made(cluster: Cluster, topic: Topic, context: RequestContext) -> CreatableTopicResult:
    result = CreatableTopicResult(topic.name, topic.id, num_partitions=topic.partition_count, replication_factor=1)
    if context.api_version >= _TELLS_CONFIGS and not context.in_process:
        from broker_embedded.configs.rows import topic_rows  # the table of all settings takes its time

        result.configs = [
            CreatableTopicConfigs(row.definition.name, row.value, config_source=row.source)
            for row in topic_rows(cluster, topic.configs)
        ]
    return result


def _checked(cluster: Cluster, row: CreatableTopic) -> Topic:
    check_name(row.name)
    cluster.check_free(row.name)
    check_collision(row.name, cluster.topics)
    nulls = [config.name for config in row.configs if config.value is None]
    if nulls:
        raise InvalidConfigError(f"Null value not supported for topic configs: {','.join(nulls)}")
    configs = {config.name: config.value or "" for config in row.configs}
    log_config(configs, cluster.config)
    count = _assigned_count(cluster, row) if row.assignments else _partition_count(cluster, row)
    return Topic(row.name, uuid4(), count, configs)


def _assigned_count(cluster: Cluster, row: CreatableTopic) -> int:
    for number, what in ((row.replication_factor, "replication factor"), (row.num_partitions, "numPartitions")):
        if number != -1:
            raise InvalidRequestError(f"A manual partition assignment was specified, but {what} was not set to -1.")
    indexes: set[int] = set()
    for assignment in row.assignments:
        if assignment.partition_index in indexes:
            raise InvalidReplicaAssignmentError(
                f"Found multiple manual partition assignments for partition {assignment.partition_index}"
            )
        check_assignment(assignment.broker_ids, cluster.config.node_id)
        indexes.add(assignment.partition_index)
    if indexes != set(range(len(indexes))):
        raise InvalidReplicaAssignmentError("partitions should be a consecutive 0-based integer sequence")
    return len(indexes)


def _partition_count(cluster: Cluster, row: CreatableTopic) -> int:
    config = cluster.config
    replicas = config.default_replication_factor if row.replication_factor == -1 else row.replication_factor
    if replicas < 1:
        raise InvalidReplicationFactorError("Replication factor must be larger than 0, or -1 to use the default value.")
    count = config.num_partitions if row.num_partitions == -1 else row.num_partitions
    if count < 1:
        raise InvalidPartitionsError("Number of partitions was set to an invalid non-positive value.")
    if replicas > max(config.max_replication_factor, config.default_replication_factor):
        raise InvalidReplicationFactorError(
            f"Unable to replicate the partition {replicas} time(s): The target replication factor of {replicas} cannot "
            "be reached because only 1 broker(s) are registered; with max.replication.factor it counts as 1."
        )
    return count
