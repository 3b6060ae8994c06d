# 28 TxnOffsetCommit: a group's positions as part of a transaction; they show with its commit.
#
# - From version 5 the offsets join the transaction by themselves, before that AddOffsetsToTxn must have come first
#   (KIP-890): else TRANSACTION_ABORTABLE, which versions before 4 do not know: INVALID_TXN_STATE.
# - A stale epoch is INVALID_PRODUCER_EPOCH.
# - Member, generation and instance (version 3+, KIP-447) are checked by the group; a generation of -1 and no member is
#   fine. A stale member epoch is ILLEGAL_GENERATION.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.coordinator.offset_records import OffsetValue
from broker_embedded.errors import (
    IllegalGenerationError,
    InvalidGroupIdError,
    InvalidTxnStateError,
    KafkaError,
    StaleMemberEpochError,
    TransactionAbortableError,
)
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.topics import Partition
from broker_embedded.wire.messages.transactions import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_KNOWS_ABORTABLE, _JOINS_BY_ITSELF = 4, 5


@handler(28, versions=(0, 5))
async def handle(cluster: Cluster, request: TxnOffsetCommitRequest, context: RequestContext) -> TxnOffsetCommitResponse:
    offsets: dict[tuple[str, int], OffsetValue] = {}
    answers = []
    for topic in request.topics:
        answer = TxnOffsetCommitResponseTopic(topic.name)
        for row in topic.partitions:
            code = 0
            try:
                offsets[topic.name, row.partition_index] = cluster.offsets.checked(topic.name, row)
            except KafkaError as error:
                code = error.code
            answer.partitions.append(TxnOffsetCommitResponsePartition(row.partition_index, code))
        answers.append(answer)
    try:
        if offsets:
            _commit(cluster, request, context, offsets)
    except KafkaError as error:
        for answer in answers:
            for partition in answer.partitions:
                partition.error_code = partition.error_code or error.code
    return TxnOffsetCommitResponse(answers)


def _commit(
    cluster: Cluster,
    request: TxnOffsetCommitRequest,
    context: RequestContext,
    offsets: dict[tuple[str, int], OffsetValue],
) -> None:
    if not request.group_id:
        raise InvalidGroupIdError("the group id is empty")
    producer = (request.producer_id, request.producer_epoch)
    _enlist(cluster, context, request.transactional_id, *producer, cluster.offsets.partition_of(request.group_id))
    member = (request.member_id, request.generation_id, request.group_instance_id)
    try:
        cluster.groups.check_commit(
            request.group_id,
            *member,
            transactional=True,
            api_version=context.api_version,
            partitions=offsets.keys(),
        )
    except StaleMemberEpochError as error:
        raise IllegalGenerationError(str(error)) from None
    cluster.offsets.commit_in_transaction(request.group_id, offsets, *producer)


def _enlist(
    cluster: Cluster, context: RequestContext, transactional_id: str, producer_id: int, epoch: int, offsets: Partition
) -> None:
    if context.api_version >= _JOINS_BY_ITSELF:
        cluster.transactions.join(transactional_id, producer_id, epoch, offsets)
        return
    try:
        cluster.transactions.verify(transactional_id, producer_id, epoch, offsets)
    except TransactionAbortableError as error:
        if context.api_version >= _KNOWS_ABORTABLE:
            raise
        raise InvalidTxnStateError(str(error)) from None
