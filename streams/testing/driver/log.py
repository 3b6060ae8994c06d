"""Topics in memory: what a transport keeps on a broker, without a broker.

Batches lie as a log keeps them, whole and in order. There is one writer in transactions, the app under test: what its
transaction has written is taken out again if it is aborted.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from operator import itemgetter
from typing import Any, NoReturn

from broker_embedded import records
from streams.transport.arrived import Arrived
from streams.transport.contract import (
    Asks,
    Committed,
    Fetched,
    GroupIdentity,
    Isolation,
    TopicInfo,
    TopicMismatchError,
    TopicPartition,
    TopicSpec,
    TransportError,
    UnknownTopicError,
)


@dataclass(slots=True)
class Stored:
    """A batch in its place: its offsets, which came when among all batches, and its bytes."""

    base: int
    stop: int
    number: int
    data: memoryview


@dataclass(slots=True)
class Partition:
    """`undecided` is where the first batch of an open transaction begins; None when there is none."""

    batches: list[Stored] = field(default_factory=list)
    start: int = 0
    end: int = 0
    undecided: int | None = None

    @property
    def stable(self) -> int:
        """The end for readers of what is committed."""
        return self.end if self.undecided is None else self.undecided

    def from_offset(self, offset: int) -> list[Stored]:
        """The batches that have something at `offset` or behind it, as far as they are committed."""
        at = bisect_right(self.batches, offset, key=lambda batch: batch.stop)
        found = self.batches[at:]
        return found if self.undecided is None else [batch for batch in found if batch.base < self.undecided]


class MemoryLog:
    """A `Transport` and what is behind it. It outlives the app that works on it, as a broker does."""

    def __init__(self) -> None:
        self._infos: dict[str, TopicInfo] = {}
        self._partitions: dict[TopicPartition, Partition] = {}
        self._offsets: dict[str, dict[TopicPartition, Committed]] = {}
        self._numbers = count()
        self._waiting: set[asyncio.Future[None]] = set()

    # -- for whoever drives the app

    def append(self, tp: TopicPartition, batch: bytearray) -> Stored:
        """Adds a batch at the end of a partition."""
        partition = self.partition(tp)
        header = records.read_header(batch)
        records.set_offset(batch, partition.end, 0)
        stored = Stored(partition.end, partition.end + header.count, next(self._numbers), memoryview(batch))
        partition.batches.append(stored)
        partition.end = stored.stop
        self._tell_who_waits()
        return stored

    def _tell_who_waits(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for one in waiting:
            if not one.done():
                one.set_result(None)

    def partition(self, tp: TopicPartition) -> Partition:
        """Raises UnknownTopicError."""
        try:
            return self._partitions[tp]
        except KeyError:
            raise UnknownTopicError(f"{tp} does not exist") from None

    def committed_batches(self, topic: str, positions: dict[int, int]) -> Iterator[tuple[int, memoryview]]:
        """Partition and batch of all that came since `positions`, in the order in which it came; `positions` moves on.

        Batches are never in part before a position: whoever reads them reads them whole.
        """
        found: list[tuple[int, int, memoryview]] = []
        for number in range(self.partitions(topic)):
            partition = self._partitions[TopicPartition(topic, number)]
            new = partition.from_offset(positions.get(number, 0))
            found += [(batch.number, number, batch.data) for batch in new]
            positions[number] = partition.stable
        for _, number, data in sorted(found, key=itemgetter(0)):
            yield number, data

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has. Raises UnknownTopicError."""
        if topic not in self._infos:
            raise UnknownTopicError(f"topic {topic!r} does not exist")
        return self._infos[topic].partitions

    def take_back(self, tp: TopicPartition, aborted: list[Stored]) -> None:
        """Takes batches out: their transaction was aborted."""
        partition = self.partition(tp)
        partition.batches = [batch for batch in partition.batches if not any(batch is one for one in aborted)]

    def decided(self, tp: TopicPartition) -> None:
        """The transaction that wrote to a partition has ended."""
        self.partition(tp).undecided = None
        self._tell_who_waits()

    def commit_offsets(self, group: str, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Moves a group."""
        self._offsets.setdefault(group, {}).update(offsets)

    # -- the contract of a transport

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    @property
    def asks(self) -> Asks:
        return self._no_broker()

    @property
    def address(self) -> str:
        return self._no_broker()

    @property
    def security(self) -> Mapping[str, Any]:
        return self._no_broker()

    def _no_broker(self) -> NoReturn:
        raise TransportError(
            "there is no broker behind the test driver. For clients, administration or another program take the "
            "fixture `broker`, or `app.client()` on a folder."
        )

    async def topics(self) -> list[str]:
        return list(self._infos)

    async def describe(self, topics: Iterable[str]) -> dict[str, TopicInfo]:
        return {name: self._infos[name] for name in topics if name in self._infos}

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        for spec in specs:
            found = self._infos.setdefault(
                spec.name, TopicInfo(spec.name, f"{spec.name} of the test", spec.partitions, spec.configs)
            )
            if found.partitions != spec.partitions:
                raise TopicMismatchError(spec.name, spec.partitions, found.partitions)
            for number in range(spec.partitions):
                self._partitions.setdefault(TopicPartition(spec.name, number), Partition())

    async def delete(self, topics: Iterable[str]) -> None:
        for name in topics:
            if name in self._infos:
                for number in range(self._infos.pop(name).partitions):
                    del self._partitions[TopicPartition(name, number)]

    async def alter(self, topic: str, configs: Mapping[str, str]) -> None:
        info = (await self.describe([topic])).get(topic)
        if info is None:
            raise UnknownTopicError(f"topic {topic!r} does not exist")
        self._infos[topic] = TopicInfo(topic, info.topic_id, info.partitions, {**info.configs, **configs})

    async def earliest(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self.partition(tp).start for tp in tps}

    async def latest(
        self, tps: Iterable[TopicPartition], isolation: Isolation = "read_committed"
    ) -> dict[TopicPartition, int]:
        found = {tp: self.partition(tp) for tp in tps}
        return {tp: one.stable if isolation == "read_committed" else one.end for tp, one in found.items()}

    async def at_time(self, tps: Iterable[TopicPartition], ms: int) -> dict[TopicPartition, int]:
        return {tp: self._offset_at(self.partition(tp), ms) for tp in tps}

    def _offset_at(self, partition: Partition, ms: int) -> int:
        for batch in partition.from_offset(partition.start):
            part = records.decode(batch.data)
            for offset, timestamp in zip(part.offsets.tolist(), part.timestamps.tolist(), strict=True):
                if timestamp >= ms:
                    return int(offset)
        return partition.stable

    async def committed(self, group: str, tps: Iterable[TopicPartition]) -> dict[TopicPartition, Committed | None]:
        offsets = self._offsets.get(group, {})
        return {tp: offsets.get(tp) for tp in tps}

    async def fetch(
        self,
        positions: Mapping[TopicPartition, int],
        *,
        max_bytes: int = 16 << 20,
        partition_max_bytes: int = 1 << 20,
        isolation: Isolation = "read_committed",
        wait_ms: int = 0,
    ) -> list[Fetched]:
        """All that is there. Who waits does so until there is something, however long: no time goes by here."""
        while not (found := self._found(positions)) and wait_ms:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                await waiter
            finally:
                self._waiting.discard(waiter)
        return found

    def _found(self, positions: Mapping[TopicPartition, int]) -> list[Fetched]:
        found = []
        for tp, offset in positions.items():
            partition = self.partition(tp)
            if offset < partition.stable:
                data = [batch.data for batch in partition.from_offset(offset)]
                stable = partition.stable
                found.append(Fetched(tp, data, offset, stable, partition.end, stable, partition.start))
        return found

    def producer(self, *, transactional_id: str | None = None, transaction_timeout_ms: int = 60_000) -> MemoryProducer:
        return MemoryProducer(self, transactional=transactional_id is not None)

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        for tp, offset in before.items():
            partition = self.partition(tp)
            partition.start = max(partition.start, offset)
            partition.batches = [batch for batch in partition.batches if batch.stop > offset]


class MemoryProducer:
    """A `Producer` of a `MemoryLog`. Without transactions everything is there at once."""

    def __init__(self, log: MemoryLog, *, transactional: bool) -> None:
        self._log = log
        self._transactional = transactional
        self._written: dict[TopicPartition, list[Stored]] = {}
        self._offsets: dict[str, dict[TopicPartition, Committed]] = {}

    async def start(self) -> None: ...

    async def begin(self) -> None: ...

    async def send(self, tp: TopicPartition, batch: bytearray) -> int:
        stored = self._log.append(tp, batch)
        if self._transactional:
            partition = self._log.partition(tp)
            if partition.undecided is None:
                partition.undecided = stored.base
            self._written.setdefault(tp, []).append(stored)
        return stored.base

    async def post(self, tp: TopicPartition, batch: bytearray) -> Arrived:
        return Arrived(await self.send(tp, batch))

    async def send_offsets(self, group: GroupIdentity, offsets: Mapping[TopicPartition, Committed]) -> None:
        if self._transactional:
            self._offsets.setdefault(group.group, {}).update(offsets)
        else:
            self._log.commit_offsets(group.group, offsets)

    async def commit(self) -> None:
        for group, offsets in self._offsets.items():
            self._log.commit_offsets(group, offsets)
        self._decided()

    async def abort(self) -> None:
        for tp, batches in self._written.items():
            self._log.take_back(tp, batches)
        self._decided()

    async def close(self) -> None:
        await self.abort()

    def _decided(self) -> None:
        for tp in self._written:
            self._log.decided(tp)
        self._written, self._offsets = {}, {}
