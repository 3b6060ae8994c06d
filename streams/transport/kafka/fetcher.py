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
from streams.transport.kafka.connection import KafkaConnection, KafkaTopic
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


class Place(NamedTuple):
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
        self._here: dict[Place, tuple[float, Fetched | Exception]] = {}
        self._under_way: dict[Place, asyncio.Task[None]] = {}
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
        places = [Place(tp, offset, limits) for tp, offset in positions.items()]
        until_s = time.monotonic() + wait_ms / 1000
        asked: set[asyncio.Task[None]] = set()
        while True:
            if found := self._take(places):
                await self._read_ahead(found, places)
                return found
            left_s = until_s - time.monotonic()
            if left_s > 0 or not asked:
                new = [place for place in places if place not in self._under_way]
                asked |= await self._ask(new, left_s)
            pending = {task for place in places if (task := self._awaited(place, asked, left_s)) is not None}
            if not pending and left_s > 0:
                pending = set(self.waiting)  # its leader has too many
            if not pending:
                return []
            await asyncio.wait(pending, timeout=left_s if left_s > 0 else None, return_when=asyncio.FIRST_COMPLETED)

    def _take(self, places: Iterable[Place]) -> list[Fetched]:
        """What is here. Raises what came instead for one of them."""
        found = []
        for place in places:
            _, here = self._here.pop(place, (0.0, None))
            if isinstance(here, Exception):
                raise here
            if here is not None:
                self._served[place.tp] = next(self._serving)
                found.append(here)
        return found

    def _awaited(self, place: Place, asked: set[asyncio.Task[None]], left_s: float) -> asyncio.Task[None] | None:
        """The fetch of a place, if it is to be waited for: there is time, it was asked for just now, or there is data
        for sure.
        """
        task = self._under_way.get(place)
        known = place.offset < self._ends.get((place.tp, place.limits.isolation), 0)
        return task if left_s > 0 or task in asked or known else None

    async def _read_ahead(self, found: Sequence[Fetched], places: Sequence[Place]) -> None:
        """Asks for what comes behind `found`, together with all else that is wanted: a broker has one request to wait
        with, rather than one a partition.
        """
        now_s = time.monotonic()
        for place in [place for place, (at_s, _) in self._here.items() if now_s - at_s > _AHEAD_S]:
            del self._here[place]
        held = sum(len(data) for _, here in self._here.values() if isinstance(here, Fetched) for data in here.data)
        if held < _AHEAD_BYTES_MOST:
            next_of = {fetched.tp: fetched.next_offset for fetched in found}
            wanted = [place._replace(offset=next_of.get(place.tp, place.offset)) for place in places]
            new = [place for place in wanted if place not in self._under_way and place not in self._here]
            await self._ask(new, _AHEAD_WAIT_MS / 1000, _AHEAD_REQUESTS_MOST)

    # Asking

    async def _ask(
        self, places: list[Place], wait_s: float, requests_most: int = _REQUESTS_MOST
    ) -> set[asyncio.Task[None]]:
        """Fetches of places on their way, one for each leader that has not too many already."""
        if not places:
            return set()
        if self._is_stopped:
            raise self._connection.not_started()
        wait_ms = min(max(0, int(wait_s * 1000)), self._longest_wait_ms)
        topics = await self._connection.topics({place.tp.topic for place in places})
        groups: dict[int, list[Place]] = {}
        # Who has waited longest comes first, or the last would starve behind a limit.
        for place in sorted(places, key=lambda place: self._served.get(place.tp, 0)):
            if place in self._under_way:
                continue  # somebody else was faster
            leaders = topics[place.tp.topic].leaders if place.tp.topic in topics else {}
            groups.setdefault(leaders.get(place.tp.partition, -1), []).append(place)
        made = set()
        for node, group in groups.items():
            if self._requests[node] < requests_most:
                made.add(self._begin(node, group, wait_ms))
        return made

    def _begin(self, node: int, places: list[Place], wait_ms: int) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._bring(places, wait_ms))
        self._requests[node] += 1
        self._under_way |= dict.fromkeys(places, task)
        self.waiting.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._requests[node] -= 1
            self.waiting.discard(task)
            for place in places:
                self._under_way.pop(place, None)

        task.add_done_callback(done)
        return task

    async def _bring(self, places: list[Place], wait_ms: int) -> None:
        """Puts what brokers answer where `fetch` finds it."""
        found: Mapping[Place, Fetched | Exception]
        try:
            found = await self._connection.retry(lambda: self._fetch_all(places, wait_ms))
        except TransportError as error:
            found = dict.fromkeys(places, error)
        now_s = time.monotonic()
        for place, here in found.items():
            self._here[place] = (now_s, here)
            self._under_way.pop(place, None)

    async def _fetch_all(self, places: Sequence[Place], wait_ms: int) -> dict[Place, Fetched | Exception]:
        """From one leader, or from several if it has changed since."""
        place_of = {place.tp: place for place in places}
        leaders = await self._connection.by_leader(place_of)
        asked = [self._fetch(node, topics, place_of, wait_ms) for node, topics in leaders.items()]
        found: dict[Place, Fetched | Exception] = {}
        passing: RetryError | None = None
        for rows in await asyncio.gather(*asked):
            for tp, row in rows:
                place = place_of[tp]
                try:
                    here = await self._read(place, row)
                except RetryError as error:
                    passing = error
                except TransportError as error:
                    found[place] = error
                else:
                    if here.next_offset > place.offset:
                        found[place] = here
        if passing is not None:
            self._connection.forget()
            if not found:
                raise passing
        return found

    async def _read(self, place: Place, row: PartitionData) -> Fetched:
        if row.error_code == OutOfRange.info.code:
            tp = place.tp
            earliest, latest = await self._offsets.earliest([tp]), await self._offsets.latest([tp], "read_uncommitted")
            raise OffsetOutOfRangeError(tp, place.offset, earliest[tp], latest[tp])
        check_leader(row.error_code, str(place.tp))
        here = _fetched(place.tp, place.offset, row)
        is_committed = place.limits.isolation == "read_committed"
        end = row.last_stable_offset if is_committed else row.high_watermark
        self._ends[place.tp, place.limits.isolation] = end
        return here

    async def _fetch(
        self,
        node: int,
        topics: Sequence[tuple[KafkaTopic, list[int]]],
        place_of: Mapping[TopicPartition, Place],
        wait_ms: int,
    ) -> list[tuple[TopicPartition, PartitionData]]:
        """One fetch on a connection that no other fetch waits on."""
        lanes = self._lanes[node]
        lane = lanes.pop() if lanes else f"fetch-{self._requests[node]}-{time.monotonic_ns()}"
        try:
            answer = await self._connection.ask(_request(topics, place_of, wait_ms), node=node, lane=lane)
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
    topics: Sequence[tuple[KafkaTopic, list[int]]], place_of: Mapping[TopicPartition, Place], wait_ms: int
) -> FetchRequest:
    limits = next(iter(place_of.values())).limits
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
                        index, place_of[TopicPartition(topic.name, index)].offset, limits.partition_max_bytes
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
