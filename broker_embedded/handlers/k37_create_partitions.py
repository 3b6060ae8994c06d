# 37 CreatePartitions: a topic grows to a number of partitions.
#
# - Every topic asked for has its answer; one that is named twice grows not even once. Not growing is
#   INVALID_PARTITIONS. Replicas assigned by hand must be this broker.
# - Internal topics stay as they are (Kafka would let them grow): a group is found by the number of partitions.
from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from broker_embedded.errors import (
    InvalidPartitionsError,
    InvalidReplicaAssignmentError,
    InvalidRequestError,
    InvalidTopicError,
    KafkaError,
    PolicyViolationError,
    UnknownTopicOrPartitionError,
)
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.topics import MOST_PARTITIONS, check_assignment
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
    counts = Counter(row.name for row in request.topics)
    rows = {row.name: row for row in request.topics}
    return CreatePartitionsResponse(
        [_grow(cluster, row, counts[name] > 1, request.validate_only) for name, row in rows.items()]
    )


def _grow(
    cluster: Cluster, row: CreatePartitionsTopic, is_twice: bool, validate_only: bool
) -> CreatePartitionsTopicResult:
    try:
        if is_twice:
            raise InvalidRequestError("Duplicate topic name.")
        topic = cluster.topics.get(row.name)
        if topic is None:
            raise UnknownTopicOrPartitionError(f"topic {row.name!r} does not exist")
        if topic.is_internal:
            raise InvalidTopicError(f"Topic '{topic.name}' is internal: groups and transactions are found by its size")
        _check(row, topic.partition_count, cluster.config.node_id)
        if not validate_only:
            cluster.folder.grow(topic, row.count, cluster.config, cluster.now_ms)
    except KafkaError as error:
        return CreatePartitionsTopicResult(row.name, error.code, str(error))
    return CreatePartitionsTopicResult(row.name)


def _check(row: CreatePartitionsTopic, present: int, node_id: int) -> None:
    if row.count == present:
        raise InvalidPartitionsError(f"Topic already has {present} partition(s).")
    if row.count < present:
        raise InvalidPartitionsError(
            f"The topic {row.name} currently has {present} partition(s); {row.count} would not be an increase."
        )
    added = row.count - present
    if added > MOST_PARTITIONS:
        raise PolicyViolationError(f"{added} partitions more at a time; {MOST_PARTITIONS} are the most")
    if row.assignments is not None:
        if len(row.assignments) != added:
            raise InvalidReplicaAssignmentError(
                f"Attempted to add {added} additional partition(s), but only {len(row.assignments)} assignment(s) "
                "were specified."
            )
        for assignment in row.assignments:
            check_assignment(assignment.broker_ids, node_id)
