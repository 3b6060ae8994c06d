"""Requests about topics, partitions and positions, row by row: what every transport, and administration, says alike.

Kafka has the rows of partitions grouped by topic, in requests and in answers; here they go by `TopicPartition`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from broker_embedded.wire.messages.configs import (
    OPERATION_SET,
    RESOURCE_TOPIC,
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from broker_embedded.wire.messages.groups import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetFetchResponsePartitions,
)
from broker_embedded.wire.messages.records import READ_COMMITTED, READ_UNCOMMITTED
from broker_embedded.wire.messages.topics import CreatableTopic, CreatableTopicConfig
from broker_embedded.wire.messages.transactions import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from streams.transport.contract import Committed, GroupIdentity, TopicMismatchError, TopicPartition, TopicSpec

T = TypeVar("T")

ISOLATION = {"read_uncommitted": READ_UNCOMMITTED, "read_committed": READ_COMMITTED}


def by_topic(tps: Iterable[TopicPartition]) -> dict[str, list[int]]:
    """The numbers of the partitions of each topic.

    >>> by_topic([TopicPartition("flights", 0), TopicPartition("alerts", 0), TopicPartition("flights", 2)])
    {'flights': [0, 2], 'alerts': [0]}
    """
    found: dict[str, list[int]] = {}
    for topic, partition in tps:
        found.setdefault(topic, []).append(partition)
    return found


def by_partition(topics: Iterable[Any]) -> Iterator[tuple[TopicPartition, Any]]:
    """The rows of an answer whose topics have names, each with its partition."""
    for topic in topics:
        for row in topic.partitions:
            yield TopicPartition(topic.name, row.partition_index), row


# Positions of groups


def offset_commit(group: GroupIdentity, offsets: Mapping[TopicPartition, Committed]) -> OffsetCommitRequest:
    """Moves a group from outside, or as a member without a transaction."""
    rows = _committed_rows(OffsetCommitRequestPartition, offsets)
    topics = [OffsetCommitRequestTopic(name, partitions=found) for name, found in rows.items()]
    return OffsetCommitRequest(*group, topics)


def txn_offset_commit(
    transactional_id: str,
    producer_id: int,
    epoch: int,
    group: GroupIdentity,
    offsets: Mapping[TopicPartition, Committed],
) -> TxnOffsetCommitRequest:
    """Moves a group with a transaction."""
    rows = _committed_rows(TxnOffsetCommitRequestPartition, offsets)
    topics = [TxnOffsetCommitRequestTopic(name, found) for name, found in rows.items()]
    return TxnOffsetCommitRequest(transactional_id, group.group, producer_id, epoch, *group[1:], topics)


def _committed_rows(row: Callable[..., T], offsets: Mapping[TopicPartition, Committed]) -> dict[str, list[T]]:
    rows: dict[str, list[T]] = {}
    for tp, position in offsets.items():
        found = row(tp.partition, position.offset, committed_metadata=position.metadata)
        rows.setdefault(tp.topic, []).append(found)
    return rows


def position_of(row: OffsetFetchResponsePartitions) -> Committed | None:
    """The position in a row of an answer to OffsetFetch; None where the group has none."""
    return Committed(row.committed_offset, row.metadata or "") if row.committed_offset >= 0 else None


# Topics


def missing_topics(specs: Sequence[TopicSpec], there: Mapping[str, int]) -> list[CreatableTopic]:
    """Those of `specs` that are to be made; `there` has how many partitions a topic has that is there.

    Raises TopicMismatchError for one that is there with another number of partitions.
    """
    for spec in specs:
        if there.get(spec.name, spec.partitions) != spec.partitions:
            raise TopicMismatchError(spec.name, spec.partitions, there[spec.name])
    return [
        CreatableTopic(
            spec.name,
            spec.partitions,
            spec.replication_factor,
            configs=[CreatableTopicConfig(*item) for item in spec.configs.items()],
        )
        for spec in specs
        if spec.name not in there
    ]


def alter_topic(topic: str, configs: Mapping[str, str]) -> IncrementalAlterConfigsRequest:
    """Sets configs of a topic."""
    rows = [AlterableConfig(name, OPERATION_SET, value) for name, value in configs.items()]
    return IncrementalAlterConfigsRequest([AlterConfigsResource(RESOURCE_TOPIC, topic, rows)])
