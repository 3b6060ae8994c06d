"""Records on their way out, outside of transactions: those of one turn of the event loop together, partitions side by
side, in order in each. So clients send, and who asks and answers (`streams/rpc`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import NamedTuple

from streams.lane import Lane
from streams.partitioner import partition_for
from streams.transport.contract import Producer, TopicPartition, UnknownTopicError


class Sent(NamedTuple):
    """Where an acknowledged record lies."""

    topic: str
    partition: int
    offset: int


class Unsent(NamedTuple):
    """A record on its way."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Sequence[tuple[str, bytes | None]]
    answer: asyncio.Future[Sent]


class Outgoing:
    """Takes records without waiting. `ensure` makes topics and notes their `partitions`.

    The producer, which is not started, is so with the first record: whoever may only read is no producer.
    """

    def __init__(
        self, producer: Producer, ensure: Callable[[set[str]], Awaitable[None]], partitions: dict[str, int]
    ) -> None:
        self._producer = producer
        self._ensure = ensure
        self._partitions = partitions
        self._unsent: list[Unsent] = []
        self._flushing: asyncio.Task[None] | None = None
        self._turn = 0
        self._is_started = False

    def send(self, record: Unsent) -> None:
        self._unsent.append(record)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())

    async def close(self) -> None:
        """Wait until everything has an answer, and let go."""
        try:
            if self._flushing is not None:
                await asyncio.wait([self._flushing])
        finally:
            if self._is_started:
                await self._producer.close()

    async def _flush(self) -> None:
        """Sends what is waiting, a batch for each partition, until nothing is."""
        while self._unsent:
            unsent, self._unsent = self._unsent, []
            try:
                await self._ensure({row.topic for row in unsent})
                if not self._is_started:
                    await self._producer.start()
                    self._is_started = True
            except Exception as error:  # noqa: BLE001 - handed to whoever awaits the records
                _fail(unsent, error)
                continue
            await asyncio.gather(*[self._send_rows(tp, rows) for tp, rows in self._by_partition(unsent).items()])

    async def _send_rows(self, tp: TopicPartition, rows: list[Unsent]) -> None:
        try:
            await self._send_batches(tp, rows)
        except Exception as error:  # noqa: BLE001 - handed to whoever awaits the records
            if isinstance(error, UnknownTopicError):
                self._partitions.pop(tp.topic, None)  # it was removed, or made anew with other partitions
            _fail(rows, error)

    def _by_partition(self, unsent: list[Unsent]) -> dict[TopicPartition, list[Unsent]]:
        self._turn += 1
        found: dict[TopicPartition, list[Unsent]] = {}
        for row in unsent:
            partition = row.partition
            if partition is None:
                count = self._partitions[row.topic]
                partition = self._turn % count if row.key is None else partition_for(row.key, count)
            found.setdefault(TopicPartition(row.topic, partition), []).append(row)
        return found

    async def _send_batches(self, tp: TopicPartition, rows: list[Unsent]) -> None:
        lane = Lane()
        headers = [row.headers for row in rows] if any(row.headers for row in rows) else None
        lane.extend([row.key for row in rows], [row.value for row in rows], [row.timestamp for row in rows], headers)
        answers = iter(rows)
        for batch, count in lane.batches("none"):
            base = await self._producer.send(tp, batch)
            for at, row in enumerate(islice(answers, count)):
                if not row.answer.done():
                    row.answer.set_result(Sent(tp.topic, tp.partition, base + at))


def _fail(rows: list[Unsent], error: Exception) -> None:
    for row in rows:
        if not row.answer.done():
            row.answer.set_exception(error)
