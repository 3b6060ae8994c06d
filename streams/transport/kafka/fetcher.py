"""Fetches from a cluster: raw batches, as views of the answers' bytes, read ahead of whoever asks.

What is handed out has its next fetch under way at once, so that a broker looks for it, or waits for it, while it is
worked on. An answer is kept by partition and offset: who goes on elsewhere finds nothing there, and asks. Each leader
is asked by itself, on connections of its own, as a fetch that waits holds up what is behind it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from broker_embedded import records
from broker_embedded.errors import OffsetOutOfRangeError as OutOfRange
from broker_embedded.wire.messages.records import FetchPartition, FetchRequest, FetchTopic, PartitionData
from streams.transport.contract import Fetched, Isolation, OffsetOutOfRangeError, TopicPartition, TransportError
from streams.transport.error_codes import RetryError, check_leader
from streams.transport.kafka.connection import KafkaConnection
from streams.transport.kafka.leaders import KafkaTopic
from streams.transport.kafka.offsets import KafkaOffsets
from streams.transport.rows import ISOLATION

_AHEAD_WAIT_MS = 500
"""How long a broker waits for data that nobody has asked for yet (Kafka's fetch.max.wait.ms)."""
_AHEAD_BYTES_MOST = 64 << 20
_AHEAD_S = 30.0
"""What nobody has asked for by then is let go."""
_REQUESTS_MOST, _AHEAD_REQUESTS_MOST = 32, 4
"""Fetches under way to one broker, and up to how many of them nothing is read ahead."""


class Limits(NamedTuple):
    """How much is read at a time, and for whom."""

    isolation: Isolation
    max_bytes: int
    partition_max_bytes: int


class Point(NamedTuple):
    """What is asked for."""

    tp: TopicPartition
    offset: int
    limits: Limits


class KafkaFetcher:
    """`fetch` is the transport's."""

    def __init__(self, connection: KafkaConnection, offsets: KafkaOffsets, longest_wait_ms: int) -> None:
        self._connection = connection
        self._offsets = offsets
        self._longest_wait_ms = longest_wait_ms
        self._lanes: dict[int, list[str]] = defaultdict(list)
        self._requests: Counter[int] = Counter()
        self._served: dict[TopicPartition, int] = {}
        self._serving = count(1)
        self._here: dict[Point, tuple[float, Fetched | Exception]] = {}
        self._under_way: dict[Point, asyncio.Task[None]] = {}
        self._ends: dict[tuple[TopicPartition, Isolation], int] = {}
        self._is_stopped = False
        self.waiting: set[asyncio.Task[None]] = set()
        """What was asked and not answered yet, whether or not somebody waits for it."""

    def start(self) -> None:
        """Fetches may be asked for."""
        self._is_stopped = False

    async def stop(self) -> None:
        """End what is under way, before the connection is stopped."""
        self._is_stopped = True
        while self.waiting:
            for one in self.waiting:
                one.cancel()
            await asyncio.wait(self.waiting)
        self._here.clear()

    async def fetch(
        self,
        positions: Mapping[TopicPartition, int],
        *,
        max_bytes: int,
        partition_max_bytes: int,
        isolation: Isolation,
        wait_ms: int,
    ) -> list[Fetched]:
        limits = Limits(isolation, max_bytes, partition_max_bytes)
        points = [Point(tp, offset, limits) for tp, offset in positions.items()]
        until_s = time.monotonic() + wait_ms / 1000
        asked: set[asyncio.Task[None]] = set()
        while True:
            if found := self._take(points):
                await self._read_ahead(found, points)
                return found
            left_s = until_s - time.monotonic()
            if left_s > 0 or not asked:
                new = [point for point in points if point not in self._under_way]
                asked |= await self._ask(new, left_s)
            pending = {task for point in points if (task := self._awaited(point, asked, left_s)) is not None}
            if not pending and left_s > 0:
                pending = set(self.waiting)  # its leader has too many
            if not pending:
                return []
            await asyncio.wait(pending, timeout=left_s if left_s > 0 else None, return_when=asyncio.FIRST_COMPLETED)

    def _take(self, points: Iterable[Point]) -> list[Fetched]:
        """What is here. Raises what came instead for one of them."""
        found = []
        for point in points:
            _, here = self._here.pop(point, (0.0, None))
            if isinstance(here, Exception):
                raise here
            if here is not None:
                self._served[point.tp] = next(self._serving)
                found.append(here)
        return found

    def _awaited(self, point: Point, asked: set[asyncio.Task[None]], left_s: float) -> asyncio.Task[None] | None:
        """The fetch of a point, if it is to be waited for: there is time, it was asked for just now, or there is data
        for sure.
        """
        task = self._under_way.get(point)
        known = point.offset < self._ends.get((point.tp, point.limits.isolation), 0)
        return task if left_s > 0 or task in asked or known else None

    async def _read_ahead(self, found: Sequence[Fetched], points: Sequence[Point]) -> None:
        """Asks for what comes behind `found`, together with all else that is wanted: a broker has one request to wait
        with, rather than one a partition.
        """
        now_s = time.monotonic()
        for point in [point for point, (at_s, _) in self._here.items() if now_s - at_s > _AHEAD_S]:
            del self._here[point]
        held = sum(len(data) for _, here in self._here.values() if isinstance(here, Fetched) for data in here.data)
        if held < _AHEAD_BYTES_MOST:
            next_of = {fetched.tp: fetched.next_offset for fetched in found}
            wanted = [point._replace(offset=next_of.get(point.tp, point.offset)) for point in points]
            new = [point for point in wanted if point not in self._under_way and point not in self._here]
            await self._ask(new, _AHEAD_WAIT_MS / 1000, _AHEAD_REQUESTS_MOST)

    # Asking

    async def _ask(
        self, points: list[Point], wait_s: float, requests_most: int = _REQUESTS_MOST
    ) -> set[asyncio.Task[None]]:
        """Fetches of points on their way, one for each leader that has not too many already."""
        if not points:
            return set()
        if self._is_stopped:
            raise self._connection.not_started()
        wait_ms = min(max(0, int(wait_s * 1000)), self._longest_wait_ms)
        topics = await self._connection.leaders.topics({point.tp.topic for point in points})
        groups: dict[int, list[Point]] = {}
        # Who has waited longest comes first, or the last would starve behind a limit.
        for point in sorted(points, key=lambda point: self._served.get(point.tp, 0)):
            if point in self._under_way:
                continue  # somebody else was faster
            leaders = topics[point.tp.topic].leaders if point.tp.topic in topics else {}
            groups.setdefault(leaders.get(point.tp.partition, -1), []).append(point)
        made = set()
        for node, group in groups.items():
            if self._requests[node] < requests_most:
                made.add(self._begin(node, group, wait_ms))
        return made

    def _begin(self, node: int, points: list[Point], wait_ms: int) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._bring(points, wait_ms))
        self._requests[node] += 1
        self._under_way |= dict.fromkeys(points, task)
        self.waiting.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._requests[node] -= 1
            self.waiting.discard(task)
            for point in points:
                self._under_way.pop(point, None)

        task.add_done_callback(done)
        return task

    async def _bring(self, points: list[Point], wait_ms: int) -> None:
        """Puts what brokers answer where `fetch` finds it."""
        found: Mapping[Point, Fetched | Exception]
        try:
            found = await self._connection.retry(lambda: self._fetch_all(points, wait_ms))
        except TransportError as error:
            found = dict.fromkeys(points, error)
        now_s = time.monotonic()
        for point, here in found.items():
            self._here[point] = (now_s, here)
            self._under_way.pop(point, None)

    async def _fetch_all(self, points: Sequence[Point], wait_ms: int) -> dict[Point, Fetched | Exception]:
        """From one leader, or from several if it has changed since."""
        point_of = {point.tp: point for point in points}
        leaders = await self._connection.leaders.by_leader(point_of)
        asked = [self._fetch(node, topics, point_of, wait_ms) for node, topics in leaders.items()]
        found: dict[Point, Fetched | Exception] = {}
        passing: RetryError | None = None
        for rows in await asyncio.gather(*asked):
            for tp, row in rows:
                point = point_of[tp]
                try:
                    here = await self._read(point, row)
                except RetryError as error:
                    passing = error
                except TransportError as error:
                    found[point] = error
                else:
                    if here.next_offset > point.offset:
                        found[point] = here
        if passing is not None:
            self._connection.forget()
            if not found:
                raise passing
        return found

    async def _read(self, point: Point, row: PartitionData) -> Fetched:
        if row.error_code == OutOfRange.info.code:
            tp = point.tp
            earliest, latest = await self._offsets.earliest([tp]), await self._offsets.latest([tp], "read_uncommitted")
            raise OffsetOutOfRangeError(tp, point.offset, earliest[tp], latest[tp])
        check_leader(row.error_code, str(point.tp))
        here = _fetched(point.tp, point.offset, row)
        is_committed = point.limits.isolation == "read_committed"
        end = row.last_stable_offset if is_committed else row.high_watermark
        self._ends[point.tp, point.limits.isolation] = end
        return here

    async def _fetch(
        self,
        node: int,
        topics: Sequence[tuple[KafkaTopic, list[int]]],
        point_of: Mapping[TopicPartition, Point],
        wait_ms: int,
    ) -> list[tuple[TopicPartition, PartitionData]]:
        """One fetch on a connection that no other fetch waits on."""
        lanes = self._lanes[node]
        lane = lanes.pop() if lanes else f"fetch-{self._requests[node]}-{time.monotonic_ns()}"
        try:
            answer = await self._connection.ask(_request(topics, point_of, wait_ms), node=node, lane=lane)
        finally:
            lanes.append(lane)
        check_leader(answer.error_code, "fetch")
        names = {topic.id: topic.name for topic, _ in topics}
        return [
            (TopicPartition(topic.topic or names[topic.topic_id], row.partition_index), row)
            for topic in answer.responses
            for row in topic.partitions
        ]


def _request(
    topics: Sequence[tuple[KafkaTopic, list[int]]], point_of: Mapping[TopicPartition, Point], wait_ms: int
) -> FetchRequest:
    limits = next(iter(point_of.values())).limits
    return FetchRequest(
        max_wait_ms=wait_ms,
        max_bytes=limits.max_bytes,
        isolation_level=ISOLATION[limits.isolation],
        topics=[
            FetchTopic(
                topic.name,
                topic.id,
                [
                    FetchPartition(
                        index, point_of[TopicPartition(topic.name, index)].offset, limits.partition_max_bytes
                    )
                    for index in indexes
                ],
            )
            for topic, indexes in topics
        ],
    )


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
