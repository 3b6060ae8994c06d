# 0 Produce: append one batch to each partition.
#
# - Exactly one batch of magic 2 per partition (more: INVALID_RECORD); a bad checksum is CORRUPT_MESSAGE.
# - Clients write neither control batches nor internal topics.
# - A transactional batch joins its transaction: by itself from version 12 (KIP-890), before that only where
#   AddPartitionsToTxn named the partition (INVALID_TXN_STATE). A stale epoch is INVALID_PRODUCER_EPOCH.
# - A compacted topic takes no record without a key: INVALID_RECORD names them, and nothing of the batch is written.
# - `flush.messages` syncs before the answer.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded import records
from broker_embedded.errors import (
    CorruptMessageError,
    InvalidRecordError,
    InvalidRequiredAcksError,
    InvalidTopicError,
    KafkaError,
)
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.topics import INTERNAL_TOPICS
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

_JOINS_BY_ITSELF = 12


@handler(0, versions=(3, 13))
async def handle(cluster: Cluster, request: ProduceRequest, context: RequestContext) -> ProduceResponse:
    responses = []
    due: list[PartitionLog] = []
    for topic in request.topic_data:
        row = TopicProduceResponse(topic.name, topic.topic_id)
        for data in topic.partition_data:
            try:
                name = topic.name or cluster.topic(topic.name, topic.topic_id).name
                row.partition_responses.append(_append(cluster, request, context, name, data, due))
            except KafkaError as error:
                answer = PartitionProduceResponse(data.index, error.code, error_message=str(error))
                row.partition_responses.append(answer)
        responses.append(row)
    if due:
        await cluster.flush(due)
    return ProduceResponse(responses)


def _append(
    cluster: Cluster,
    request: ProduceRequest,
    context: RequestContext,
    topic: str,
    data: PartitionProduceData,
    due: list[PartitionLog],
) -> PartitionProduceResponse:
    target = cluster.log(topic, data.index)
    if not context.in_process:
        _check(request, target, data)
        if target.config.compacts and (missing := _without_key(data)):
            text = f"{topic}-{data.index} is compacted and takes no record without a key"
            return PartitionProduceResponse(
                data.index, InvalidRecordError.info.code, record_errors=missing, error_message=text
            )
    if request.transactional_id is not None:
        header = records.read_header(data.records)
        joins = context.api_version >= _JOINS_BY_ITSELF
        join = cluster.transactions.join if joins else cluster.transactions.verify
        join(request.transactional_id, header.producer_id, header.producer_epoch, (topic, data.index))
    appended = target.append(data.records, verified=context.in_process)
    cluster.progressed(topic, data.index)
    if target.needs_sync():
        due.append(target)
    return PartitionProduceResponse(
        data.index,
        base_offset=appended.base_offset,
        log_append_time_ms=appended.log_append_time_ms,
        log_start_offset=target.log_start_offset,
    )


def _check(request: ProduceRequest, target: PartitionLog, data: PartitionProduceData) -> None:
    where = f"{target.topic}-{target.partition}"
    if request.acks not in (-1, 0, 1):
        raise InvalidRequiredAcksError
    if target.topic in INTERNAL_TOPICS:
        raise InvalidTopicError(f"{where} is internal: only the broker writes there")
    try:
        header = records.read_header(data.records)
    except records.CorruptBatchError as error:
        raise CorruptMessageError(f"{where}: {error}") from error
    if header.length_bytes != len(data.records):
        raise InvalidRecordError(
            f"{where}: the first batch has {header.length_bytes} of {len(data.records)} bytes; one batch, whole, per "
            "partition and request"
        )
    if header.is_control:
        raise InvalidRecordError(f"{where}: control batches are written by the broker only")
    if header.producer_id >= 0 and header.base_sequence < 0:
        raise InvalidRecordError(f"{where}: producer {header.producer_id} sent a batch without a sequence number")
    if header.is_transactional != (request.transactional_id is not None):
        raise InvalidRecordError(f"{where}: a transactional batch and a transactional id come together or not at all")


def _without_key(data: PartitionProduceData) -> list[BatchIndexAndErrorMessage]:
    keys = records.decode(data.records).keys()
    return [BatchIndexAndErrorMessage(index, "no key") for index, key in enumerate(keys) if key is None]
