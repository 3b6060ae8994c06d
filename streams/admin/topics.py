"""Topics: list, describe, create, grow, delete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from broker_embedded.wire.messages.topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
    CreateTopicsRequest,
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponseTopic,
)
from streams.admin.descriptions import PartitionDescription, TopicDescription
from streams.durations import retention_to_ms
from streams.transport.contract import Asks, TopicPartition, Transport, UnknownTopicError
from streams.transport.error_codes import RetryError, check


async def list_topics(asks: Asks, *, internal: bool = False) -> list[str]:
    answer = await asks.ask(MetadataRequest(None, allow_auto_topic_creation=False))
    return sorted(row.name for row in answer.topics if internal or not row.is_internal)


async def describe_topics(asks: Asks, transport: Transport, names: Iterable[str] | None) -> list[TopicDescription]:
    rows = None if names is None else [MetadataRequestTopic(name) for name in names]
    answer = await asks.ask(MetadataRequest(rows, allow_auto_topic_creation=False))
    for row in answer.topics:
        check(row.error_code, f"topic {row.name!r}")
    found = sorted(answer.topics, key=lambda row: row.name)
    tps = [TopicPartition(row.name, part.partition_index) for row in found for part in row.partitions]
    starts, ends = await transport.earliest(tps), await transport.latest(tps, "read_uncommitted")
    infos = await transport.describe([row.name for row in found])
    return [
        TopicDescription(
            row.name, str(row.topic_id), row.is_internal, infos[row.name].configs, _partitions(row, starts, ends)
        )
        for row in found
    ]


def _partitions(
    row: MetadataResponseTopic, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> Sequence[PartitionDescription]:
    described = []
    for part in sorted(row.partitions, key=lambda part: part.partition_index):
        tp = TopicPartition(row.name or "", part.partition_index)
        described.append(
            PartitionDescription(
                part.partition_index, part.leader_id, part.replica_nodes, part.isr_nodes, starts[tp], ends[tp]
            )
        )
    return described


def new_topic(
    name: str,
    partitions: int | None,
    replication_factor: int | None,
    retention: str | float | None,
    configs: Mapping[str, str],
) -> CreatableTopic:
    settings = dict(configs)
    if retention is not None:
        settings["retention.ms"] = str(retention_to_ms(retention))
    rows = [CreatableTopicConfig(key, value) for key, value in settings.items()]
    by_default = -1
    return CreatableTopic(
        name,
        by_default if partitions is None else partitions,
        by_default if replication_factor is None else replication_factor,
        configs=rows,
    )


async def create_topic(asks: Asks, topic: CreatableTopic) -> None:
    for result in (await asks.ask(CreateTopicsRequest([topic]))).topics:
        check(result.error_code, f"topic {topic.name!r}", result.error_message)
    await _see(asks, topic.name, max(topic.num_partitions, 1))


async def _see(asks: Asks, name: str, partitions: int) -> None:
    """Wait until the cluster says of every partition who leads it."""
    tps = [TopicPartition(name, index) for index in range(partitions)]

    async def see() -> None:
        try:
            await asks.check_partitions(tps)
        except UnknownTopicError as error:  # whoever was asked has not heard of it yet
            raise RetryError(str(error)) from error

    await asks.retry(see)


async def add_partitions(asks: Asks, name: str, count: int) -> None:
    answer = await asks.ask(CreatePartitionsRequest([CreatePartitionsTopic(name, count)]))
    for result in answer.results:
        check(result.error_code, f"topic {name!r}", result.error_message)
    await _see(asks, name, count)


async def delete_topics(transport: Transport, names: Sequence[str]) -> None:
    missing = set(names) - set(await transport.describe(names))
    if missing:
        raise UnknownTopicError(f"no topic {', '.join(sorted(missing))}; nothing was deleted")
    await transport.delete(names)
