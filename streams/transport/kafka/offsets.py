"""Offsets in a cluster: ends of logs, times, positions of groups. Each broker is asked about what it leads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from broker_embedded.errors import UnstableOffsetCommitError
from broker_embedded.wire.messages import Request
from broker_embedded.wire.messages.groups import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from broker_embedded.wire.messages.records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from streams.transport.contract import Committed, Isolation, TopicPartition
from streams.transport.error_codes import RetryError, check, check_leader
from streams.transport.kafka.connection import KafkaConnection
from streams.transport.kafka.leaders import KafkaTopic
from streams.transport.log_offsets import LogOffsets
from streams.transport.rows import ISOLATION, by_partition, by_topic, position_of

_Partitions = list[tuple[KafkaTopic, list[int]]]

_STABLE_WITHIN_S = 60.0


class KafkaOffsets(LogOffsets):
    """The part of a `Transport` that is about offsets."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection

    async def list_offsets(
        self, tps: Iterable[TopicPartition], timestamp: int, isolation: Isolation = "read_committed"
    ) -> dict[TopicPartition, int]:
        def request(topics: _Partitions) -> Request:
            rows = [
                ListOffsetsTopic(topic.name, [ListOffsetsPartition(index, timestamp) for index in indexes])
                for topic, indexes in topics
            ]
            return ListOffsetsRequest(isolation_level=ISOLATION[isolation], topics=rows)

        tps = list(tps)

        async def ask() -> dict[TopicPartition, int]:
            offsets = {}
            for tp, row in await self._ask_leaders(tps, request):
                offsets[tp] = row.offset
            return offsets

        return await self._connection.retry(ask)

    async def committed(self, group: str, tps: Iterable[TopicPartition]) -> dict[TopicPartition, Committed | None]:
        wanted = by_topic(tps)

        async def ask() -> dict[TopicPartition, Committed | None]:
            known = await self._connection.leaders.topics(wanted)
            rows = [
                OffsetFetchRequestTopics(name, known[name].id if name in known else None, indexes)
                for name, indexes in wanted.items()
            ]
            request = OffsetFetchRequest([OffsetFetchRequestGroup(group, topics=rows)], require_stable=True)
            # Version 10 has no names, and an unknown id there is an error where an unknown name is not.
            last_version = 10 if len(known) == len(wanted) else 9
            answer = await self._connection.ask_coordinator(request, group, last_version=last_version)
            return _positions(group, answer, {topic.id: name for name, topic in known.items()})

        return await self._connection.retry(ask, timeout_s=_STABLE_WITHIN_S)

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        def request(topics: _Partitions) -> Request:
            return DeleteRecordsRequest(
                [
                    DeleteRecordsTopic(
                        topic.name,
                        [DeleteRecordsPartition(index, before[TopicPartition(topic.name, index)]) for index in indexes],
                    )
                    for topic, indexes in topics
                ]
            )

        async def ask() -> None:
            await self._ask_leaders(before, request)

        await self._connection.retry(ask)

    async def _ask_leaders(
        self, tps: Collection[TopicPartition], request: Callable[[_Partitions], Request]
    ) -> list[tuple[TopicPartition, Any]]:
        """The rows of the answers of the leaders of `tps`, each asked about its own; none with an error."""
        leaders = await self._connection.leaders.by_leader(tps)
        asked = [self._connection.ask(request(topics), node=node) for node, topics in leaders.items()]
        rows = [found for answer in await asyncio.gather(*asked) for found in by_partition(answer.topics)]
        for tp, row in rows:
            check_leader(row.error_code, str(tp))
        return rows


def _positions(
    group: str, answer: OffsetFetchResponse, names: Mapping[Any, str]
) -> dict[TopicPartition, Committed | None]:
    check(answer.groups[0].error_code, f"group {group!r}")
    offsets: dict[TopicPartition, Committed | None] = {}
    for topic in answer.groups[0].topics:
        name = topic.name or names[topic.topic_id]
        for row in topic.partitions:
            if row.error_code == UnstableOffsetCommitError.info.code:
                raise RetryError(
                    f"offsets of group {group!r} in {name}-{row.partition_index} are held by a transaction that is not "
                    "decided: is another worker of this group stuck, or was its transactional id changed?"
                )
            check_leader(row.error_code, f"group {group!r}, {name}-{row.partition_index}")
            offsets[TopicPartition(name, row.partition_index)] = position_of(row)
    return offsets
