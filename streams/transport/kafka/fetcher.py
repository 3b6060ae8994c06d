"""Fetches from a cluster: raw batches, as views of the answers' bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from broker_embedded import records
from broker_embedded.errors import OffsetOutOfRangeError as OutOfRange
from broker_embedded.wire.messages.records import FetchPartition, FetchRequest, FetchTopic, PartitionData
from streams.transport.contract import Fetched, Isolation, OffsetOutOfRangeError, TopicPartition
from streams.transport.error_codes import check_leader
from streams.transport.kafka.connection import KafkaConnection, KafkaTopic
from streams.transport.kafka.offsets import KafkaOffsets
from streams.transport.rows import ISOLATION
from streams.transport.turns import Turns


class KafkaFetcher:
    """Fetches that wait do so on connections of their own."""

    def __init__(self, connection: KafkaConnection, offsets: KafkaOffsets, longest_wait_ms: int) -> None:
        self._connection = connection
        self._offsets = offsets
        self._longest_wait_ms = longest_wait_ms
        self._lanes: list[str] = []
        self._lanes_made = 0
        self._turns = Turns()
        self.waiting: set[asyncio.Future[Any]] = set()
        """What was asked and not answered yet, whether or not somebody waits for it."""

    async def stop(self) -> None:
        """End what is asked, when the connection is stopped."""
        waiting = set(self.waiting)
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=1)
            for one in late:
                one.cancel()

    async def fetch(
        self,
        positions: Mapping[TopicPartition, int],
        *,
        max_bytes: int,
        partition_max_bytes: int,
        isolation: Isolation,
        wait_ms: int,
    ) -> list[Fetched]:
        def request(topics: list[tuple[KafkaTopic, list[int]]]) -> FetchRequest:
            return FetchRequest(
                max_wait_ms=min(wait_ms, self._longest_wait_ms),
                max_bytes=max_bytes,
                isolation_level=ISOLATION[isolation],
                topics=[
                    FetchTopic(
                        topic.name,
                        topic.id,
                        [
                            FetchPartition(index, positions[TopicPartition(topic.name, index)], partition_max_bytes)
                            for index in indexes
                        ],
                    )
                    for topic, indexes in topics
                ],
            )

        async def ask() -> list[Fetched]:
            leaders = await self._connection.by_leader(self._turns.next(list(positions)))
            asked = [
                self._fetch(node, request(topics), [topic for topic, _ in topics]) for node, topics in leaders.items()
            ]
            fetched = []
            for rows in await asyncio.gather(*asked):
                for tp, row in rows:
                    if row.error_code:
                        await self._raise_fetch_error(tp, positions[tp], row.error_code)
                    found = _fetched(tp, positions[tp], row)
                    if found.next_offset > positions[tp]:
                        fetched.append(found)
            return fetched

        return await self._connection.retry(ask)

    async def _fetch(
        self, node: int, request: FetchRequest, topics: Sequence[KafkaTopic]
    ) -> list[tuple[TopicPartition, PartitionData]]:
        """One fetch on a connection that no other fetch waits on."""
        if not self._lanes:
            self._lanes_made += 1
            self._lanes.append(f"fetch-{self._lanes_made}")
        lane = self._lanes.pop()

        def arrived(done: asyncio.Future[Any]) -> None:
            self.waiting.discard(done)
            self._lanes.append(lane)
            if not done.cancelled():
                done.exception()  # is raised below, unless nobody waits any more

        fetching = asyncio.ensure_future(self._connection.ask(request, node=node, lane=lane))
        self.waiting.add(fetching)
        fetching.add_done_callback(arrived)
        answer = await asyncio.shield(fetching)  # whoever gives up leaves the lane taken until the broker answers
        check_leader(answer.error_code, "fetch")
        names = {topic.id: topic.name for topic in topics}
        return [
            (TopicPartition(topic.topic or names[topic.topic_id], row.partition_index), row)
            for topic in answer.responses
            for row in topic.partitions
        ]

    async def _raise_fetch_error(self, tp: TopicPartition, offset: int, code: int) -> None:
        if code == OutOfRange.info.code:
            earliest, latest = (
                (await self._offsets.earliest([tp]))[tp],
                (await self._offsets.latest([tp], "read_uncommitted"))[tp],
            )
            raise OffsetOutOfRangeError(tp, offset, earliest, latest)
        self._connection.forget()
        check_leader(code, str(tp))


def _fetched(tp: TopicPartition, start: int, row: PartitionData) -> Fetched:
    """Whole batches only: the last one may have been cut by a limit."""
    data: Any = row.records
    end, next_offset = 0, start
    for header, _ in records.batches(data or b""):
        end += header.length_bytes
        next_offset = header.next_offset
    aborted = [(gone.producer_id, gone.first_offset) for gone in row.aborted_transactions or ()]
    return Fetched(
        tp,
        [data[:end]] if end else [],
        start,
        next_offset,
        row.high_watermark,
        row.last_stable_offset,
        row.log_start_offset,
        aborted,
    )
