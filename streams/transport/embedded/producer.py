"""The producer of the embedded transport."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from broker_embedded import records
from broker_embedded.errors import KafkaError, KafkaStorageError
from broker_embedded.wire.messages import Request
from broker_embedded.wire.messages.records import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from broker_embedded.wire.messages.transactions import (
    EndTxnRequest,
    EndTxnResponse,
    InitProducerIdRequest,
    InitProducerIdResponse,
)
from streams.transport.arrived import Arrived
from streams.transport.contract import Committed, GroupIdentity, TopicPartition, TransportError, UnknownOutcomeError
from streams.transport.error_codes import as_transport_error, raise_for
from streams.transport.producer_state import ProducerState
from streams.transport.rows import by_partition, offset_commit, txn_offset_commit

_SEQUENCE_MAX = 0x7FFFFFFF


class EmbeddedProducer:
    """A `Producer` that calls the broker. Made by `EmbeddedTransport.producer`.

    Without a transactional id batches carry no producer id: a call within a process is done or raises, so there are no
    retries to recognise.
    """

    def __init__(
        self, handle: Callable[[Request], Awaitable[Any]], transactional_id: str | None, transaction_timeout_ms: int
    ) -> None:
        self._handle = handle
        self._transactional_id = transactional_id
        self._timeout_ms = transaction_timeout_ms
        self._who = f"producer {transactional_id!r}" if transactional_id is not None else "producer"
        self._producer_id = records.NO_PRODUCER_ID
        self._epoch = records.NO_PRODUCER_EPOCH
        self._sequences: dict[TopicPartition, int] = {}
        self._state = ProducerState.NEW
        self._wrote = False

    async def start(self) -> None:
        if self._transactional_id is not None:
            request = InitProducerIdRequest(self._transactional_id, self._timeout_ms)
            answer: InitProducerIdResponse = await self._ask(request)
            raise_for(answer.error_code, self._who)
            self._producer_id, self._epoch = answer.producer_id, answer.producer_epoch
            self._sequences.clear()
        self._state = ProducerState.READY

    async def begin(self) -> None:
        if self._transactional_id is None:
            raise TransportError("a producer without a transactional id has no transactions")
        self._state.expect(ProducerState.READY, self._who, "begin a transaction")
        self._state, self._wrote = ProducerState.OPEN, False

    async def send(self, tp: TopicPartition, batch: bytearray) -> int:
        is_transactional = self._transactional_id is not None
        self._state.expect(ProducerState.OPEN if is_transactional else ProducerState.READY, self._who, f"send to {tp}")
        sequence = self._sequences.get(tp, 0) if is_transactional else records.NO_SEQUENCE
        records.set_producer(
            batch,
            producer_id=self._producer_id,
            producer_epoch=self._epoch,
            base_sequence=sequence,
            is_transactional=is_transactional,
        )
        topic = TopicProduceData(tp.topic, None, [PartitionProduceData(tp.partition, batch)])
        self._wrote = True
        answer: ProduceResponse = await self._ask(ProduceRequest(self._transactional_id, topic_data=[topic]))
        row = answer.responses[0].partition_responses[0]
        if row.error_code:
            raise as_transport_error(row.error_code, f"{self._who}, {tp}", row.error_message)
        if is_transactional:
            count = records.read_header(batch).last_offset_delta + 1
            self._sequences[tp] = (sequence + count) & _SEQUENCE_MAX
        return row.base_offset

    async def post(self, tp: TopicPartition, batch: bytearray) -> Arrived:
        return Arrived(await self.send(tp, batch))

    async def send_offsets(self, group: GroupIdentity, offsets: Mapping[TopicPartition, Committed]) -> None:
        doing = f"send offsets of group {group.group!r}"
        request: Request
        if self._transactional_id is None:
            self._state.expect(ProducerState.READY, self._who, doing)
            request = offset_commit(group, offsets)
        else:
            self._state.expect(ProducerState.OPEN, self._who, doing)
            self._wrote = True
            request = txn_offset_commit(self._transactional_id, self._producer_id, self._epoch, group, offsets)
        for tp, row in by_partition((await self._ask(request)).topics):
            raise_for(row.error_code, f"{self._who}, group {group.group!r}, {tp}")

    async def commit(self) -> None:
        await self._end(commit=True)

    async def abort(self) -> None:
        await self._end(commit=False)

    async def _end(self, *, commit: bool) -> None:
        self._state.expect(ProducerState.OPEN, self._who, "commit" if commit else "abort")
        if not self._wrote:
            self._state = ProducerState.READY
            return
        self._state = ProducerState.UNKNOWN  # also when this is cancelled while the disk is at it
        answer: EndTxnResponse
        try:
            answer = await self._handle(
                EndTxnRequest(self._transactional_id or "", self._producer_id, self._epoch, commit)
            )
        except KafkaError as error:
            raise UnknownOutcomeError(f"{self._who}: {error}") from error
        if answer.error_code == KafkaStorageError.info.code:
            raise UnknownOutcomeError(f"{self._who}: {answer.error_message}")
        raise_for(answer.error_code, self._who, answer.error_message)
        self._state = ProducerState.READY

    async def close(self) -> None:
        try:
            if self._state is ProducerState.OPEN:
                await self.abort()
        finally:
            self._state = ProducerState.CLOSED

    async def _ask(self, request: Request) -> Any:
        try:
            return await self._handle(request)
        except KafkaError as error:
            raise as_transport_error(error.code, self._who, str(error)) from error
