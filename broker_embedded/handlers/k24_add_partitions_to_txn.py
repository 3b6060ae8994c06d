# 24 AddPartitionsToTxn: make partitions part of a transaction, all of them or none.
#
# - A partition that does not exist is named, the others are OPERATION_NOT_ATTEMPTED.
# - Before version 2 PRODUCER_FENCED is INVALID_PRODUCER_EPOCH (KIP-588).
# - Verifying only (version 4+, KIP-890) is for brokers: a partition that was not added is TRANSACTION_ABORTABLE.
# - Clients that have Produce 12 do not send this.
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from broker_embedded.coordinator.transactions.rules import error_code
from broker_embedded.errors import KafkaError, OperationNotAttemptedError, UnknownTopicOrPartitionError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.transactions import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult,
    AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(24, versions=(0, 5))
async def handle(
    cluster: Cluster, request: AddPartitionsToTxnRequest, context: RequestContext
) -> AddPartitionsToTxnResponse:
    return AddPartitionsToTxnResponse(0, [_add(cluster, row, context) for row in request.transactions])


def _add(cluster: Cluster, row: AddPartitionsToTxnTransaction, context: RequestContext) -> AddPartitionsToTxnResult:
    partitions = [(topic.name, index) for topic in row.topics for index in topic.partitions]
    missing = [partition for partition in partitions if cluster.find_log(*partition) is None]
    if missing:
        codes = dict.fromkeys(partitions, OperationNotAttemptedError.info.code)
        codes.update(dict.fromkeys(missing, UnknownTopicOrPartitionError.info.code))
    elif row.verify_only:
        codes = {partition: _try(context, cluster.transactions.verify, row, partition) for partition in partitions}
    else:
        codes = dict.fromkeys(partitions, _try(context, cluster.transactions.add_partitions, row, partitions))
    return AddPartitionsToTxnResult(
        row.transactional_id,
        [
            AddPartitionsToTxnTopicResult(
                topic.name,
                [AddPartitionsToTxnPartitionResult(index, codes[topic.name, index]) for index in topic.partitions],
            )
            for topic in row.topics
        ],
    )


def _try(context: RequestContext, call: Callable[..., None], row: AddPartitionsToTxnTransaction, what: Any) -> int:
    try:
        call(row.transactional_id, row.producer_id, row.producer_epoch, what)
    except KafkaError as error:
        return error_code(error, knows_fenced=context.api_version >= 2)
    return 0
