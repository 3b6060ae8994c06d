"""The producer of the Kafka transport: idempotent, and transactional if it has a transactional id (KIP-98).

A batch is numbered once and sent until an answer comes: the broker recognises the second one. One batch per partition
is under way at a time, so that the numbers arrive in order. Where no answer comes in the end, the number may be taken
or not, and the next batch with it could pass for this one. So the partition goes on under another producer id, and a
transaction cannot but abort (Kafka: TransactionManager, KIP-360). Transactions go the way that every broker since 0.11
knows: partitions are added before they are written to.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from broker_embedded import records
from broker_embedded.errors import InvalidProducerEpochError, OutOfOrderSequenceNumberError, UnknownProducerIdError
from broker_embedded.wire.messages import Request
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
)
from streams.transport.contract import Committed, GroupIdentity, TopicPartition, TransportError, UnknownOutcomeError
from streams.transport.error_codes import RetryError, check, check_leader
from streams.transport.kafka.connection import TRANSACTION, ConnectionLostError, KafkaConnection
from streams.transport.producer_state import ProducerState
from streams.transport.rows import by_partition, offset_commit, txn_offset_commit

_SEQUENCE_MAX = 0x7FFFFFFF
_DUPLICATE_SEQUENCE_NUMBER = 46
_FORGOTTEN = (
    OutOfOrderSequenceNumberError.info.code,
    UnknownProducerIdError.info.code,
    InvalidProducerEpochError.info.code,
)
"""The broker does not know the numbers before this one: its log was cut, as by a power cut, or it has expired them."""
# The last versions in which partitions and offsets are added by requests of their own (KIP-890).
_PRODUCE_LAST, _ADD_PARTITIONS_LAST, _TXN_OFFSET_COMMIT_LAST, _END_TXN_LAST = 11, 3, 4, 4
_OFFSET_COMMIT_LAST = 9  # the last with names


class _ForgottenError(TransportError):
    """The broker refuses a batch for its number."""


class _Numbering:
    """Under which id, epoch and number the next batch of a partition goes."""

    def __init__(self, producer_id: int, epoch: int) -> None:
        self.producer_id, self.epoch, self.sequence = producer_id, epoch, 0

    def stamp(self, batch: bytearray, *, is_transactional: bool) -> None:
        records.set_producer(
            batch,
            producer_id=self.producer_id,
            producer_epoch=self.epoch,
            base_sequence=self.sequence,
            is_transactional=is_transactional,
        )

    def passed(self, batch: bytearray) -> None:
        count = records.read_header(batch).last_offset_delta + 1
        self.sequence = (self.sequence + count) & _SEQUENCE_MAX


class KafkaProducer:
    """A `Producer` over the wire. Made by `KafkaTransport.producer`."""

    def __init__(self, connection: KafkaConnection, transactional_id: str | None, transaction_timeout_ms: int) -> None:
        self._connection = connection
        self._transactional_id = transactional_id
        self._timeout_ms = transaction_timeout_ms
        self._who = f"producer {transactional_id!r}" if transactional_id is not None else "producer"
        self._producer_id = records.NO_PRODUCER_ID
        self._epoch = records.NO_PRODUCER_EPOCH
        self._numberings: dict[TopicPartition, _Numbering] = {}
        self._doubtful: set[TopicPartition] = set()
        self._locks: dict[TopicPartition, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._added: set[TopicPartition] = set()
        self._groups_added: set[str] = set()
        self._wrote = False
        self._state = ProducerState.NEW

    async def start(self) -> None:
        self._producer_id, self._epoch = await self._identity()
        self._numberings.clear()
        self._doubtful.clear()
        self._state = ProducerState.READY

    async def _identity(self) -> tuple[int, int]:
        """A producer id and epoch: new ones, or those of the transactional id."""
        request = InitProducerIdRequest(self._transactional_id, self._timeout_ms)

        async def ask() -> tuple[int, int]:
            if self._transactional_id is None:
                answer = await self._connection.ask(request)
            else:
                answer = await self._connection.ask_coordinator(request, self._transactional_id, TRANSACTION)
            check(answer.error_code, self._who)
            return answer.producer_id, answer.producer_epoch

        return await self._connection.retry(ask)

    async def begin(self) -> None:
        if self._transactional_id is None:
            raise TransportError("a producer without a transactional id has no transactions")
        self._state.expect(ProducerState.READY, self._who, "begin a transaction")
        self._state = ProducerState.OPEN
        self._added.clear()
        self._groups_added.clear()
        self._wrote = False

    async def send(self, tp: TopicPartition, batch: bytearray) -> int:
        self._state.expect(
            ProducerState.READY if self._transactional_id is None else ProducerState.OPEN, self._who, f"send to {tp}"
        )
        async with self._locks[tp]:
            if self._transactional_id is not None and tp not in self._added:
                await self._add(tp)
            try:
                return await self._append(tp, batch)
            except _ForgottenError:
                if self._transactional_id is not None:
                    raise
            self._doubtful.add(tp)
            return await self._append(tp, batch)

    async def _append(self, tp: TopicPartition, batch: bytearray) -> int:
        numbering = await self._numbering(tp)
        numbering.stamp(batch, is_transactional=self._transactional_id is not None)
        self._doubtful.add(tp)  # also when this is cancelled on the way
        try:
            offset = await self._connection.retry(lambda: self._produce(tp, batch))
        except (ConnectionLostError, RetryError, asyncio.CancelledError):
            if self._state is ProducerState.OPEN:
                self._state = ProducerState.BROKEN
            raise
        except TransportError:  # it is not there, for certain
            self._doubtful.discard(tp)
            raise
        self._doubtful.discard(tp)
        numbering.passed(batch)
        return offset

    async def _numbering(self, tp: TopicPartition) -> _Numbering:
        if tp in self._doubtful and self._transactional_id is None:
            self._numberings[tp] = _Numbering(*await self._identity())
            self._doubtful.discard(tp)
        elif tp not in self._numberings:
            self._numberings[tp] = _Numbering(self._producer_id, self._epoch)
        return self._numberings[tp]

    async def _add(self, tp: TopicPartition) -> None:
        topics = [AddPartitionsToTxnTopic(tp.topic, [tp.partition])]
        row = AddPartitionsToTxnTransaction(self._transactional_id or "", self._producer_id, self._epoch, topics=topics)

        async def ask() -> None:
            answer = await self._coordinator(AddPartitionsToTxnRequest([row]), _ADD_PARTITIONS_LAST)
            for topic in answer.results_by_transaction[0].topic_results:
                for result in topic.results_by_partition:
                    check(result.partition_error_code, f"{self._who}, {tp}")

        self._wrote = True
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
        if row.error_code in _FORGOTTEN and self._transactional_id is None:
            raise _ForgottenError(f"{self._who}, {tp}: {row.error_message or 'the broker does not know its numbers'}")
        check_leader(row.error_code, f"{self._who}, {tp}", row.error_message)
        return row.base_offset

    async def send_offsets(self, group: GroupIdentity, offsets: Mapping[TopicPartition, Committed]) -> None:
        if self._transactional_id is None:
            await self._commit_offsets(group, offsets)
            return
        self._state.expect(ProducerState.OPEN, self._who, f"send offsets of group {group.group!r}")
        who = (self._transactional_id, self._producer_id, self._epoch)
        self._wrote = True
        if group.group not in self._groups_added:
            await self._checked(AddOffsetsToTxnRequest(*who, group.group))
            self._groups_added.add(group.group)
        request = txn_offset_commit(*who, group, offsets)
        await self._connection.retry(lambda: self._commit(request, group.group, _TXN_OFFSET_COMMIT_LAST))

    async def _commit_offsets(self, group: GroupIdentity, offsets: Mapping[TopicPartition, Committed]) -> None:
        self._state.expect(ProducerState.READY, self._who, f"send offsets of group {group.group!r}")
        request = offset_commit(group, offsets)
        await self._connection.retry(lambda: self._commit(request, group.group, _OFFSET_COMMIT_LAST))

    async def _commit(self, request: Request, group: str, last_version: int) -> None:
        answer = await self._connection.ask_coordinator(request, group, last_version=last_version)
        for tp, row in by_partition(answer.topics):
            check(row.error_code, f"{self._who}, group {group!r}, {tp}")

    async def commit(self) -> None:
        self._state.expect(ProducerState.OPEN, self._who, "commit")
        await self._end(commit=True)

    async def abort(self) -> None:
        broken = self._state is ProducerState.BROKEN
        if not broken:
            self._state.expect(ProducerState.OPEN, self._who, "abort")
        await self._end(commit=False)
        if broken:
            await self.start()  # another epoch, in which numbers begin anew

    async def _end(self, *, commit: bool) -> None:
        if not self._wrote:
            self._state = ProducerState.READY
            return
        self._state = ProducerState.UNKNOWN  # also when this is cancelled on the way
        request = EndTxnRequest(self._transactional_id or "", self._producer_id, self._epoch, commit)
        try:
            await self._checked(request, _END_TXN_LAST)
        except (ConnectionLostError, RetryError) as error:
            raise UnknownOutcomeError(f"{self._who}: {error}") from error
        self._state = ProducerState.READY

    async def _checked(self, request: Request, last_version: int = 32_767) -> None:
        async def ask() -> None:
            check((await self._coordinator(request, last_version)).error_code, self._who)

        await self._connection.retry(ask)

    async def _coordinator(self, request: Request, last_version: int) -> Any:
        name = self._transactional_id or ""
        return await self._connection.ask_coordinator(request, name, TRANSACTION, last_version=last_version)

    async def close(self) -> None:
        try:
            if self._state in (ProducerState.OPEN, ProducerState.BROKEN):
                await self._end(commit=False)
        finally:
            self._state = ProducerState.CLOSED
