"""Offsets in a cluster: ends of logs, times, positions of groups. Each broker is asked about what it leads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
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
    EARLIEST_TIMESTAMP,
    LATEST_TIMESTAMP,
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from streams.transport.contract import Committed, Isolation, TopicPartition
from streams.transport.error_codes import RetryError, check, check_leader
from streams.transport.kafka.connection import KafkaConnection, KafkaTopic
from streams.transport.kafka.requests import ISOLATION

_Partitions = list[tuple[KafkaTopic, list[int]]]

_STABLE_WITHIN_S = 60.0


class KafkaOffsets:
    """The part of a `Transport` that is about offsets."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection

    async def earliest(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._list_offsets(tps, EARLIEST_TIMESTAMP)

    async def latest(
        self, tps: Iterable[TopicPartition], isolation: Isolation = "read_committed"
    ) -> dict[TopicPartition, int]:
        return await self._list_offsets(tps, LATEST_TIMESTAMP, isolation)

    async def at_time(self, tps: Iterable[TopicPartition], ms: int) -> dict[TopicPartition, int]:
        tps = list(tps)
        found = await self._list_offsets(tps, ms)
        missing = [tp for tp in tps if found[tp] < 0]
        return found | await self.latest(missing) if missing else found

    async def _list_offsets(
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
            for answer in await self._ask_leaders(tps, request):
                for topic in answer.topics:
                    for row in topic.partitions:
                        check_leader(row.error_code, f"{topic.name}-{row.partition_index}")
                        offsets[TopicPartition(topic.name, row.partition_index)] = row.offset
            return offsets

        return await self._connection.retry(ask)

    async def committed(self, group: str, tps: Iterable[TopicPartition]) -> dict[TopicPartition, Committed | None]:
        by_topic: dict[str, list[int]] = {}
        for topic, partition in tps:
            by_topic.setdefault(topic, []).append(partition)

        async def ask() -> dict[TopicPartition, Committed | None]:
            known = await self._connection.topics(by_topic)
            rows = [
                OffsetFetchRequestTopics(name, known[name].id if name in known else None, indexes)
                for name, indexes in by_topic.items()
            ]
            request = OffsetFetchRequest([OffsetFetchRequestGroup(group, topics=rows)], require_stable=True)
            # Version 10 has no names, and an unknown id there is an error where an unknown name is not.
            last_version = 10 if len(known) == len(by_topic) else 9
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
            for answer in await self._ask_leaders(before, request):
                for topic in answer.topics:
                    for row in topic.partitions:
                        check_leader(row.error_code, f"{topic.name}-{row.partition_index}")

        await self._connection.retry(ask)

    async def _ask_leaders(self, tps: Iterable[TopicPartition], request: Callable[[_Partitions], Request]) -> list[Any]:
        """The answers of the leaders of `tps`, each asked about its own."""
        tps = list(tps)

        async def ask() -> list[Any]:
            leaders = await self._connection.by_leader(tps)
            asked = [self._connection.ask(request(topics), node=node) for node, topics in leaders.items()]
            return await asyncio.gather(*asked)

        return await self._connection.retry(ask)


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
            position = Committed(row.committed_offset, row.metadata or "") if row.committed_offset >= 0 else None
            offsets[TopicPartition(name, row.partition_index)] = position
    return offsets
