"""The producer of the Kafka transport: idempotent, and transactional if it has a transactional id (KIP-98).

`Sender` brings batches to their partitions, `Coordination` talks to the coordinator; here is what may be done when.
Where it is not known in the end whether a batch is there, a transaction cannot but abort; without one, its partition
goes on under another producer id (Kafka: TransactionManager, KIP-360).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping

from streams.transport.contract import (
    Committed,
    ConnectionLostError,
    GroupIdentity,
    TopicPartition,
    TransportError,
    UnknownOutcomeError,
)
from streams.transport.error_codes import RetryError
from streams.transport.kafka.connection import KafkaConnection
from streams.transport.kafka.sender import Sender
from streams.transport.kafka.transaction import Coordination
from streams.transport.producer_state import ProducerState


class KafkaProducer:
    """A `Producer` over the wire. Made by `KafkaTransport.producer`."""

    def __init__(self, connection: KafkaConnection, transactional_id: str | None, transaction_timeout_ms: int) -> None:
        self._is_transactional = transactional_id is not None
        self._coordination = Coordination(connection, transactional_id, transaction_timeout_ms)
        self._who = self._coordination.who
        self._sender = Sender(connection, self._coordination)
        self._state = ProducerState.NEW

    async def start(self) -> None:
        await self._coordination.start()
        self._sender.renew()
        self._state = ProducerState.READY

    async def begin(self) -> None:
        if not self._is_transactional:
            raise TransportError("a producer without a transactional id has no transactions")
        self._expect(ProducerState.READY, "begin a transaction")
        self._coordination.begin()
        self._state = ProducerState.OPEN

    async def send(self, tp: TopicPartition, batch: bytearray) -> int:
        return await asyncio.shield(await self.post(tp, batch))

    async def post(self, tp: TopicPartition, batch: bytearray) -> Awaitable[int]:
        self._expect(self._working, f"send to {tp}")
        return await self._sender.post(tp, batch)

    async def send_offsets(self, group: GroupIdentity, offsets: Mapping[TopicPartition, Committed]) -> None:
        self._expect(self._working, f"send offsets of group {group.group!r}")
        await self._coordination.send_offsets(group, offsets)

    async def commit(self) -> None:
        self._expect(ProducerState.OPEN, "commit")
        await self._sender.flush()
        self._expect(ProducerState.OPEN, "commit")
        await self._end(commit=True)

    async def abort(self) -> None:
        if self._look() is not ProducerState.BROKEN:
            self._expect(ProducerState.OPEN, "abort")
        await self._sender.discard(TransportError(f"{self._who}: the transaction was aborted"))
        broken = self._look() is ProducerState.BROKEN
        await self._end(commit=False)
        if broken:
            await self.start()  # another epoch, in which numbers begin anew

    async def _end(self, *, commit: bool) -> None:
        if not self._coordination.wrote:
            self._state = ProducerState.READY
            return
        self._state = ProducerState.UNKNOWN  # also when this is cancelled on the way
        try:
            is_another = await self._coordination.end(commit=commit)
        except (ConnectionLostError, RetryError) as error:
            raise UnknownOutcomeError(f"{self._who}: {error}") from error
        if is_another:
            self._sender.renew()
        self._state = ProducerState.READY

    async def close(self) -> None:
        try:
            await self._sender.discard(TransportError(f"{self._who} is closed"))
            if self._look() in (ProducerState.OPEN, ProducerState.BROKEN):
                await self._end(commit=False)
        finally:
            self._state = ProducerState.CLOSED

    @property
    def _working(self) -> ProducerState:
        return ProducerState.OPEN if self._is_transactional else ProducerState.READY

    def _expect(self, wanted: ProducerState, doing: str) -> None:
        self._look().expect(wanted, self._who, doing)

    def _look(self) -> ProducerState:
        if self._state is ProducerState.OPEN and self._coordination.in_doubt:
            self._state = ProducerState.BROKEN
        return self._state
