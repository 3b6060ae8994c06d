# 0 Produce: append one batch to each partition.
#
# - Exactly one batch of magic 2 per partition (more, or none: INVALID_RECORD); a bad checksum is CORRUPT_MESSAGE.
# - zstd needs version 7 (UNSUPPORTED_COMPRESSION_TYPE, KIP-110); from version 13 on topics have ids (KIP-516).
# - Clients write neither control batches nor internal topics, not even as "__admin_client", which Kafka lets: the
#   groups and transactions in memory would not follow, and the next open would have to make sense of it.
# - A transactional batch joins its transaction: by itself from version 12 (KIP-890), and a producer that is new to the
#   partition begins at sequence 0 then. Before that only where AddPartitionsToTxn named the partition; if it did not,
#   TRANSACTION_ABORTABLE, which versions before 11 do not know: INVALID_TXN_STATE. A stale epoch is
#   INVALID_PRODUCER_EPOCH; while a commit is under way NOT_ENOUGH_REPLICAS, which older clients retry.
# - What a record must be (a key in a compacted topic, a time in range) is said record by record from version 8 on
#   (KIP-467), and nothing of the batch is written.
# - acks=-1 is the same as 1: on one node min.insync.replicas counts no more than the replicas there are, as in Kafka.
# - `flush.messages` syncs before the answer.
from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from broker_embedded.errors import (
    ConcurrentTransactionsError,
    CorruptMessageError,
    InvalidRecordError,
    InvalidRequiredAcksError,
    InvalidTopicError,
    InvalidTxnStateError,
    KafkaError,
    NotEnoughReplicasError,
    OutOfOrderSequenceNumberError,
    TransactionAbortableError,
    TransactionalIdAuthorizationFailedError,
    UnsupportedCompressionTypeError,
)
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.records.batch_header import BATCH_OVERHEAD_BYTES, TRANSACTIONAL
from broker_embedded.topics import INTERNAL_TOPICS
from broker_embedded.wire.messages import Buffer
from broker_embedded.wire.messages.records import (
    BatchIndexAndErrorMessage,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.log.partition import PartitionLog

_KNOWS_ZSTD, _KNOWS_ABORTABLE, _JOINS_BY_ITSELF = 7, 11, 12
_CODEC, _ZSTD = 0x07, 4
_MAGIC = 2
_SAY_NO_MORE = {2, 10, 18, 56}  # errors with which Kafka does not say where the log begins

# Base offset, length, magic, attributes, producer id, epoch and sequence: what is looked at before the log does.
_HEAD = struct.Struct(">qi4xb4xh20xqhi")


@handler(0, versions=(3, 13))
async def handle(cluster: Cluster, request: ProduceRequest, context: RequestContext) -> ProduceResponse:
    append = _Append(cluster, request, context)
    responses = []
    for topic in request.topic_data:
        row = TopicProduceResponse(topic.name, topic.topic_id)
        responses.append(row)
        try:
            name = topic.name or cluster.topic(None, topic.topic_id).name
        except KafkaError as error:
            row.partition_responses = [_failed(data.index, error, -1) for data in topic.partition_data]
            continue
        row.partition_responses = [append.partition(name, data) for data in topic.partition_data]
    if append.due:
        await cluster.durability.flush(append.due)
    return ProduceResponse(responses)


class _Append:
    """One request on its way into the logs; `due` are those that must be synced before the answer."""

    __slots__ = ("cluster", "context", "due", "request")

    def __init__(self, cluster: Cluster, request: ProduceRequest, context: RequestContext) -> None:
        self.cluster = cluster
        self.request = request
        self.context = context
        self.due: list[PartitionLog] = []

    def partition(self, topic: str, data: PartitionProduceData) -> PartitionProduceResponse:
        """Append the batch of one partition; the answer's row for it."""
        cluster, index = self.cluster, data.index
        log_start = -1
        try:
            target = cluster.log(topic, index)
            self._admit(target, data)
            log_start = target.log_start_offset
            appended = target.append(data.records, verified=self.context.in_process)
        except KafkaError as error:
            return _failed(index, error, log_start)
        cluster.progress.made(topic, index)
        if target.needs_sync():
            self.due.append(target)
        return PartitionProduceResponse(
            index,
            base_offset=appended.base_offset,
            log_append_time_ms=appended.log_append_time_ms,
            log_start_offset=target.log_start_offset,
        )

    def _admit(self, target: PartitionLog, data: PartitionProduceData) -> None:
        """All checks that are not the log's, and the batch's way into its transaction."""
        if self.context.in_process and self.request.transactional_id is None:
            return
        head = _head(target, data.records)
        _, _, _, attributes, producer_id, epoch, sequence = head
        if not self.context.in_process:
            self._check(target, data, head)
        if attributes & TRANSACTIONAL:
            if self.request.transactional_id is None:
                raise TransactionalIdAuthorizationFailedError("a transactional batch without a transactional id")
            self._enlist(target, producer_id, epoch, sequence)

    def _check(self, target: PartitionLog, data: PartitionProduceData, head: tuple[int, ...]) -> None:
        base_offset, length, _, attributes, _, _, _ = head
        where = f"{target.topic}-{target.partition}"
        if length + 12 != len(data.records):
            raise InvalidRecordError(
                f"{where}: the first batch has {length + 12} of {len(data.records)} bytes; one batch, whole, per "
                "partition and request"
            )
        if attributes & _CODEC == _ZSTD and self.context.api_version < _KNOWS_ZSTD:
            raise UnsupportedCompressionTypeError(f"{where}: zstd needs Produce {_KNOWS_ZSTD}: upgrade the client")
        if self.request.acks not in (-1, 0, 1):
            raise InvalidRequiredAcksError(f"acks={self.request.acks}; -1, 0 and 1 are known")
        if target.topic in INTERNAL_TOPICS:
            raise InvalidTopicError(f"{where} is internal: only the broker writes there")
        if base_offset != 0:
            raise InvalidRecordError(f"{where}: a batch comes with base offset 0, this one has {base_offset}")

    def _enlist(self, target: PartitionLog, producer_id: int, epoch: int, sequence: int) -> None:
        """Make the partition part of the transaction, or see that it is."""
        transactional_id, version = self.request.transactional_id or "", self.context.api_version
        partition = (target.topic, target.partition)
        if version >= _JOINS_BY_ITSELF:
            self.cluster.transactions.join(transactional_id, producer_id, epoch, partition)
            if sequence > 0 and not self.context.in_process and target.producers.get(producer_id) is None:
                raise OutOfOrderSequenceNumberError(
                    f"{target.topic}-{target.partition}: producer {producer_id} is new here and begins with sequence "
                    f"{sequence}, not 0: what it wrote before is lost"
                )
            return
        try:
            self.cluster.transactions.verify(transactional_id, producer_id, epoch, partition)
        except ConcurrentTransactionsError as error:
            raise NotEnoughReplicasError(str(error)) from None
        except TransactionAbortableError as error:
            if version >= _KNOWS_ABORTABLE:
                raise
            raise InvalidTxnStateError(str(error)) from None


def _head(target: PartitionLog, records: Buffer | None) -> tuple[int, ...]:
    if not records or len(records) < BATCH_OVERHEAD_BYTES:
        raise InvalidRecordError(f"{target.topic}-{target.partition}: no whole batch for it in the request")
    head = _HEAD.unpack_from(records)
    magic = head[2]
    if magic != _MAGIC:
        error = InvalidRecordError if magic in (0, 1) else CorruptMessageError
        raise error(f"{target.topic}-{target.partition}: a batch of magic {magic}; {_MAGIC} is taken")
    return head


def _failed(index: int, error: KafkaError, log_start_offset: int) -> PartitionProduceResponse:
    at_fault = [BatchIndexAndErrorMessage(*row) for row in getattr(error, "record_errors", ())]
    if error.code in _SAY_NO_MORE:
        log_start_offset = -1
    return PartitionProduceResponse(
        index, error.code, log_start_offset=log_start_offset, record_errors=at_fault, error_message=str(error)
    )
