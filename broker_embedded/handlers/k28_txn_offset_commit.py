# 28 TxnOffsetCommit: a group's positions as part of a transaction; they show with its commit.
#
# - From version 5 the offsets join the transaction by themselves, before that AddOffsetsToTxn must have come first
#   (KIP-890). A stale epoch is INVALID_PRODUCER_EPOCH.
# - Member, generation and instance (version 3+, KIP-447) are checked once groups have members.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.coordinator.records import OffsetValue
from broker_embedded.errors import KafkaError, UnknownMemberIdError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.transactions import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_JOINS_BY_ITSELF = 5


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
        _commit(cluster, request, context, offsets)
    except KafkaError as error:
        for answer in answers:
            for partition in answer.partitions:
                partition.error_code = error.code
    return TxnOffsetCommitResponse(answers)


def _commit(
    cluster: Cluster,
    request: TxnOffsetCommitRequest,
    context: RequestContext,
    offsets: dict[tuple[str, int], OffsetValue],
) -> None:
    if request.member_id or request.generation_id >= 0:
        raise UnknownMemberIdError(f"group {request.group_id!r} has no member {request.member_id!r}")
    producer = (request.producer_id, request.producer_epoch)
    joins = context.api_version >= _JOINS_BY_ITSELF
    join = cluster.transactions.join if joins else cluster.transactions.verify
    join(request.transactional_id, *producer, cluster.offsets.partition_of(request.group_id))
    if offsets:
        cluster.offsets.commit_in_transaction(request.group_id, offsets, *producer)
