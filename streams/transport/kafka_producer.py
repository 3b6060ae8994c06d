"""The producer of the Kafka transport: idempotent, and transactional if it has a transactional id (KIP-98).

A batch is numbered once and sent until an answer comes: the broker recognises the second one. One batch per partition
is under way at a time, so that the numbers arrive in order. Transactions go the way that every broker since 0.11
knows: partitions are added before they are written to.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from enum import Enum
from typing import Any

from broker_embedded import records
from broker_embedded.wire.messages import Request
from broker_embedded.wire.messages.groups import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from broker_embedded.wire.messages.records import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    TopicProduceData,
)
from broker_embedded.wire.messages.transactions import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
    EndTxnRequest,
    InitProducerIdRequest,
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from streams.transport.contract import Committed, TopicPartition, TransportError, UnknownOutcomeError
from streams.transport.kafka_connection import TRANSACTION, ConnectionLostError, KafkaConnection, RetryError, check

_SEQUENCE_MAX = 0x7FFFFFFF
_DUPLICATE_SEQUENCE_NUMBER = 46
# The last versions in which partitions and offsets are added by requests of their own (KIP-890).
_PRODUCE_LAST, _ADD_PARTITIONS_LAST, _TXN_OFFSET_COMMIT_LAST, _END_TXN_LAST = 11, 3, 4, 4
_OFFSET_COMMIT_LAST = 9  # the last with names


class _State(Enum):
    NEW = "not started"
    READY = "ready"
    OPEN = "in a transaction"
    UNKNOWN = "in doubt about its last commit"
    CLOSED = "closed"


class KafkaProducer:
    """A `Producer` over the wire. Made by `KafkaTransport.producer`."""

    def __init__(self, connection: KafkaConnection, transactional_id: str | None, transaction_timeout_ms: int) -> None:
        self._connection = connection
        self._transactional_id = transactional_id
        self._timeout_ms = transaction_timeout_ms
        self._who = f"producer {transactional_id!r}" if transactional_id is not None else "producer"
        self._producer_id = records.NO_PRODUCER_ID
        self._epoch = records.NO_PRODUCER_EPOCH
        self._sequences: dict[TopicPartition, int] = {}
        self._locks: dict[TopicPartition, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._added: set[TopicPartition] = set()
        self._groups_added: set[str] = set()
        self._state = _State.NEW

    async def start(self) -> None:
        request = InitProducerIdRequest(self._transactional_id, self._timeout_ms)

        async def ask() -> None:
            if self._transactional_id is None:
                answer = await self._connection.ask(request)
            else:
                answer = await self._connection.ask_coordinator(request, self._transactional_id, TRANSACTION)
            check(answer.error_code, self._who)
            self._producer_id, self._epoch = answer.producer_id, answer.producer_epoch

        await self._connection.retry(ask)
        self._sequences.clear()
        self._state = _State.READY

    async def begin(self) -> None:
        if self._transactional_id is None:
            raise TransportError("a producer without a transactional id has no transactions")
        self._expect(_State.READY, "begin a transaction")
        self._state = _State.OPEN
        self._added.clear()
        self._groups_added.clear()

    async def send(self, tp: TopicPartition, batch: bytearray) -> int:
        self._expect(_State.READY if self._transactional_id is None else _State.OPEN, f"send to {tp}")
        async with self._locks[tp]:
            sequence = self._sequences.get(tp, 0)
            records.set_producer(
                batch,
                producer_id=self._producer_id,
                producer_epoch=self._epoch,
                base_sequence=sequence,
                is_transactional=self._transactional_id is not None,
            )
            if self._transactional_id is not None and tp not in self._added:
                await self._add(tp)
            offset = await self._connection.retry(lambda: self._produce(tp, batch))
            count = records.read_header(batch).last_offset_delta + 1
            self._sequences[tp] = (sequence + count) & _SEQUENCE_MAX
            return offset

    async def _add(self, tp: TopicPartition) -> None:
        topics = [AddPartitionsToTxnTopic(tp.topic, [tp.partition])]
        row = AddPartitionsToTxnTransaction(self._transactional_id or "", self._producer_id, self._epoch, topics=topics)

        async def ask() -> None:
            answer = await self._coordinator(AddPartitionsToTxnRequest([row]), _ADD_PARTITIONS_LAST)
            for topic in answer.results_by_transaction[0].topic_results:
                for result in topic.results_by_partition:
                    check(result.partition_error_code, f"{self._who}, {tp}")

        await self._connection.retry(ask)
        self._added.add(tp)

    async def _produce(self, tp: TopicPartition, batch: bytearray) -> int:
        leaders = await self._connection.by_leader([tp])
        topic = TopicProduceData(tp.topic, None, [PartitionProduceData(tp.partition, batch)])
        request = ProduceRequest(self._transactional_id, topic_data=[topic])
        (node,) = leaders
        answer = await self._connection.ask(request, node=node, lane="produce", last_version=_PRODUCE_LAST)
        row: PartitionProduceResponse = answer.responses[0].partition_responses[0]
        if row.error_code == _DUPLICATE_SEQUENCE_NUMBER:
            return row.base_offset  # it is there since an earlier attempt, too long ago for its offset
        check(row.error_code, f"{self._who}, {tp}", row.error_message)
        return row.base_offset

    async def send_offsets(self, group: str, offsets: Mapping[TopicPartition, Committed]) -> None:
        if self._transactional_id is None:
            await self._commit_offsets(group, offsets)
            return
        self._expect(_State.OPEN, f"send offsets of group {group!r}")
        who = (self._transactional_id, self._producer_id, self._epoch)
        if group not in self._groups_added:
            await self._checked(AddOffsetsToTxnRequest(*who, group))
            self._groups_added.add(group)
        by_topic: dict[str, list[TxnOffsetCommitRequestPartition]] = {}
        for tp, position in offsets.items():
            row = TxnOffsetCommitRequestPartition(tp.partition, position.offset, committed_metadata=position.metadata)
            by_topic.setdefault(tp.topic, []).append(row)
        topics = [TxnOffsetCommitRequestTopic(name, rows) for name, rows in by_topic.items()]
        request = TxnOffsetCommitRequest(who[0], group, *who[1:], topics=topics)
        await self._connection.retry(lambda: self._commit(request, group, _TXN_OFFSET_COMMIT_LAST))

    async def _commit_offsets(self, group: str, offsets: Mapping[TopicPartition, Committed]) -> None:
        self._expect(_State.READY, f"send offsets of group {group!r}")
        by_topic: dict[str, list[OffsetCommitRequestPartition]] = {}
        for tp, position in offsets.items():
            row = OffsetCommitRequestPartition(tp.partition, position.offset, committed_metadata=position.metadata)
            by_topic.setdefault(tp.topic, []).append(row)
        topics = [OffsetCommitRequestTopic(name, partitions=rows) for name, rows in by_topic.items()]
        request = OffsetCommitRequest(group, topics=topics)
        await self._connection.retry(lambda: self._commit(request, group, _OFFSET_COMMIT_LAST))

    async def _commit(self, request: Request, group: str, last_version: int) -> None:
        answer = await self._connection.ask_coordinator(request, group, last_version=last_version)
        for topic in answer.topics:
            for result in topic.partitions:
                check(result.error_code, f"{self._who}, group {group!r}, {topic.name}-{result.partition_index}")

    async def commit(self) -> None:
        await self._end(commit=True)

    async def abort(self) -> None:
        await self._end(commit=False)

    async def _end(self, *, commit: bool) -> None:
        self._expect(_State.OPEN, "commit" if commit else "abort")
        if not self._added and not self._groups_added:
            self._state = _State.READY
            return
        self._state = _State.UNKNOWN  # also when this is cancelled on the way
        request = EndTxnRequest(self._transactional_id or "", self._producer_id, self._epoch, commit)
        try:
            await self._checked(request, _END_TXN_LAST)
        except (ConnectionLostError, RetryError) as error:
            raise UnknownOutcomeError(f"{self._who}: {error}") from error
        self._state = _State.READY

    async def _checked(self, request: Request, last_version: int = 32_767) -> None:
        async def ask() -> None:
            check((await self._coordinator(request, last_version)).error_code, self._who)

        await self._connection.retry(ask)

    async def _coordinator(self, request: Request, last_version: int) -> Any:
        name = self._transactional_id or ""
        return await self._connection.ask_coordinator(request, name, TRANSACTION, last_version=last_version)

    async def close(self) -> None:
        try:
            if self._state is _State.OPEN:
                await self.abort()
        finally:
            self._state = _State.CLOSED

    def _expect(self, state: _State, doing: str) -> None:
        if self._state is state:
            return
        advice = ": start it again, that settles the transaction" if self._state is _State.UNKNOWN else ""
        raise TransportError(f"{self._who} cannot {doing}: it is {self._state.value}, not {state.value}{advice}")
