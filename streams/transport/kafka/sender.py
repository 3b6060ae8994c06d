"""Sends batches to those who lead their partitions: one request carries the next batch of each partition of a broker,
several requests are under way. What fails and may pass is sent again, in order (Kafka: Sender, RecordAccumulator).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

from broker_embedded.errors import InvalidProducerEpochError, OutOfOrderSequenceNumberError, UnknownProducerIdError
from broker_embedded.wire.messages.records import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from streams.transport.contract import ConnectionLostError, TopicPartition, TransportError, UnknownTopicError
from streams.transport.error_codes import BusyError, RetryError, check_leader
from streams.transport.kafka.connection import KafkaConnection
from streams.transport.kafka.outbox import Entry, ForgottenError, Outbox, may_pass

log = logging.getLogger(__name__)

REQUESTS_MOST = 5
"""Requests under way to one broker (Kafka's max.in.flight.requests.per.connection)."""
BYTES_MOST = 32 << 20
"""Batches held until they are acknowledged (Kafka's buffer.memory)."""
_DUPLICATE_SEQUENCE_NUMBER = 46
_FORGOTTEN = (OutOfOrderSequenceNumberError.info.code, UnknownProducerIdError.info.code)
"""The broker does not know the numbers before this one: its log was cut, as by a power cut, or it has expired them."""


class Writer(Protocol):
    """Under whose name batches are sent."""

    who: str
    transactional_id: str | None
    identity: tuple[int, int]

    @property
    def produce_version(self) -> int:
        """The last version of Produce to use."""

    async def fresh(self) -> tuple[int, int]:
        """A new identity, for a partition where the old one is no good any more."""

    async def admit(self, tps: Iterable[TopicPartition]) -> None:
        """Make partitions part of the transaction, if that is to be said."""

    def doubt(self) -> None:
        """A batch of the transaction may be there or not."""


class Sender:
    """The way of batches to brokers."""

    def __init__(self, connection: KafkaConnection, writer: Writer) -> None:
        self._connection = connection
        self._writer = writer
        self._outboxes: dict[TopicPartition, Outbox] = {}
        self._requests: Counter[int] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pump: asyncio.Task[None] | None = None
        self._is_stale = False
        self._bytes = 0
        self._moved = asyncio.Event()

    async def post(self, tp: TopicPartition, batch: bytearray) -> asyncio.Future[int]:
        """Takes a batch; waits while too much is under way. The future gives its first offset."""
        while self._bytes > BYTES_MOST:
            self._moved.clear()
            await self._moved.wait()
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        size = len(batch)
        self._bytes += size
        answer.add_done_callback(lambda done: self._answered(done, size))
        outbox = self._outboxes.get(tp)
        if outbox is None:
            outbox = self._outboxes[tp] = Outbox(tp, self._writer.identity)
        outbox.waiting.append(Entry(batch, answer))
        self._kick()
        return answer

    def _answered(self, done: asyncio.Future[int], size: int) -> None:
        self._bytes -= size
        self._moved.set()
        if not done.cancelled():
            done.exception()  # is for whoever awaits it; nobody may

    async def flush(self) -> None:
        """Returns when everything that was posted has an answer."""
        while self._bytes:
            self._moved.clear()
            await self._moved.wait()

    async def discard(self, error: TransportError) -> None:
        """Gives up what is not sent yet, and waits for the answers to what is."""
        for outbox in self._outboxes.values():
            _fail(outbox.waiting, error)
            outbox.waiting.clear()
        while self._tasks:
            await asyncio.wait(self._tasks)
        for outbox in self._outboxes.values():  # what was to be sent again
            _fail(outbox.waiting, error)
            outbox.waiting.clear()

    def renew(self) -> None:
        """Under another identity all numbers begin anew. Nothing is under way."""
        self._outboxes.clear()

    # The pump

    def _kick(self) -> None:
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._run())
            self._pump.add_done_callback(_report)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while tps := [tp for tp, outbox in self._outboxes.items() if outbox.ready(loop.time())]:
            by_leader = await self._placed(tps)
            free = {node: rows for node, rows in by_leader.items() if self._requests[node] < REQUESTS_MOST}
            for node, rows in free.items():
                self._dispatch(node, rows)
            if by_leader and not free:
                return  # the next answer kicks again

    async def _placed(self, tps: list[TopicPartition]) -> dict[int, list[TopicPartition]]:
        """`tps` by leader, ready to be written to; without those that are found to be no good."""
        try:
            if self._is_stale:
                self._is_stale = False
                await self._connection.refresh()
            await self._writer.admit(tps)
            for tp in tps:
                if self._outboxes[tp].identity is None:
                    self._outboxes[tp].renew(await self._writer.fresh())
            return await self._by_leader(tps)
        except TransportError as error:
            for tp in tps:
                self._give_up(self._outboxes[tp], error)
            return {}

    async def _by_leader(self, tps: list[TopicPartition]) -> dict[int, list[TopicPartition]]:
        topics = await self._connection.leaders.topics({tp.topic for tp in tps})
        found: dict[int, list[TopicPartition]] = {}
        for tp in tps:
            leaders = topics[tp.topic].leaders if tp.topic in topics else {}
            node = leaders.get(tp.partition)
            if node is None:
                self._connection.forget()
                self._give_up(self._outboxes[tp], UnknownTopicError(f"{tp}: there is no such partition"))
            elif node < 0:
                self._put_off(self._outboxes[tp], RetryError(f"{tp} has no leader"))
            else:
                found.setdefault(node, []).append(tp)
        return found

    def _put_off(self, outbox: Outbox, error: TransportError) -> None:
        now_s = asyncio.get_running_loop().time()
        first = outbox.waiting[0]
        first.since = first.since or now_s
        if now_s - first.since > self._connection.retry_timeout_s:
            self._give_up(outbox, error)
            return
        outbox.again([], now_s)
        self._kick_later(outbox, error)

    def _give_up(self, outbox: Outbox, error: TransportError) -> None:
        """All that waits; what was sent before may be there."""
        if any(entry.since for entry in outbox.waiting):
            self._doubt(outbox)
        _fail(outbox.waiting, error)
        outbox.waiting.clear()

    def _kick_later(self, outbox: Outbox, error: TransportError) -> None:
        self._is_stale = self._is_stale or (may_pass(error) and not isinstance(error, BusyError))
        loop = asyncio.get_running_loop()
        loop.call_at(outbox.resume_s, self._kick)

    # Requests

    def _dispatch(self, node: int, tps: list[TopicPartition]) -> None:
        now_s = asyncio.get_running_loop().time()
        is_transactional = self._writer.transactional_id is not None
        entries = {tp: self._outboxes[tp].take(now_s, is_transactional=is_transactional) for tp in tps}
        self._requests[node] += 1
        task = asyncio.create_task(self._request(node, entries))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_report)

    async def _request(self, node: int, entries: Mapping[TopicPartition, Entry]) -> None:
        rows: dict[str, list[PartitionProduceData]] = {}
        for tp, entry in entries.items():
            rows.setdefault(tp.topic, []).append(PartitionProduceData(tp.partition, entry.batch))
        topics = [TopicProduceData(name, None, found) for name, found in rows.items()]
        request = ProduceRequest(self._writer.transactional_id, topic_data=topics)
        try:
            answer: ProduceResponse = await self._connection.ask(
                request, node=node, lane="produce", last_version=self._writer.produce_version
            )
            results = self._results(answer)
        except TransportError as error:
            results = dict.fromkeys(entries, error)
        except asyncio.CancelledError:
            results = dict.fromkeys(entries, ConnectionLostError(f"{self._writer.who}: sending was cut short"))
            raise
        finally:
            self._requests[node] -= 1
            for tp, entry in entries.items():
                result = results.get(tp) or 0
                if self._outboxes[tp].settle(entry, result):
                    self._resolve(self._outboxes[tp])
            self._kick()

    def _results(self, answer: ProduceResponse) -> dict[TopicPartition, int | TransportError]:
        found: dict[TopicPartition, int | TransportError] = {}
        for topic in answer.responses:
            for row in topic.partition_responses:
                tp = TopicPartition(topic.name, row.index)
                try:
                    found[tp] = self._offset(tp, row)
                except TransportError as error:
                    found[tp] = error
        return found

    def _offset(self, tp: TopicPartition, row: PartitionProduceResponse) -> int:
        where = f"{self._writer.who}, {tp}"
        if row.error_code == _DUPLICATE_SEQUENCE_NUMBER:
            return row.base_offset  # it is there since an earlier attempt, too long ago for its offset
        is_transactional = self._writer.transactional_id is not None
        if row.error_code in _FORGOTTEN or (
            row.error_code == InvalidProducerEpochError.info.code and not is_transactional
        ):
            raise ForgottenError(f"{where}: {row.error_message or 'the broker does not know its numbers'}")
        check_leader(row.error_code, where, row.error_message)
        return row.base_offset

    # What has failed

    def _resolve(self, outbox: Outbox) -> None:
        """Nothing of a partition is under way any more, and something has failed."""
        failed, has_hole = outbox.failed()
        now_s = asyncio.get_running_loop().time()
        head, error = failed[0], failed[0].result
        assert isinstance(error, TransportError) and head.since is not None
        is_late = now_s - head.since > self._connection.retry_timeout_s
        forgotten = isinstance(error, ForgottenError)
        if may_pass(error) and not is_late and (head.was_lost or not has_hole):
            # Behind a hole the broker has taken what follows, so it has what is lost as well, and will say so.
            log.debug("sending again: %s", error)
            outbox.again(failed, now_s)
        elif forgotten and self._writer.transactional_id is None and not head.renumbered:
            head.renumbered = True
            outbox.again(failed, now_s)
            outbox.identity = None
        else:
            rest = failed[1:]
            head.fail(error)
            if may_pass(error) or has_hole or forgotten or any(entry.was_lost for entry in rest):
                _fail(rest, error)
                self._doubt(outbox)
            else:
                outbox.again(rest, now_s)
                outbox.renumber(head.sequence or 0)
        if outbox.waiting:
            self._kick_later(outbox, error)

    def _doubt(self, outbox: Outbox) -> None:
        if self._writer.transactional_id is None:
            outbox.identity = None
        else:
            self._writer.doubt()


def _fail(entries: Iterable[Entry], error: TransportError) -> None:
    for entry in entries:
        entry.fail(error)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("batches are not sent any more", exc_info=error)
