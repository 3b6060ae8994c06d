# 24 AddPartitionsToTxn: make partitions part of a transaction, all of them or none.
#
# - A partition that does not exist is named, the others are OPERATION_NOT_ATTEMPTED.
# - Before version 2 PRODUCER_FENCED is INVALID_PRODUCER_EPOCH (KIP-588). Verifying only (KIP-890) is for brokers.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import (
    InvalidProducerEpochError,
    KafkaError,
    ProducerFencedError,
    UnknownTopicOrPartitionError,
)
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

_OPERATION_NOT_ATTEMPTED = 55


@handler(24, versions=(0, 5))
async def handle(
    cluster: Cluster, request: AddPartitionsToTxnRequest, context: RequestContext
) -> AddPartitionsToTxnResponse:
    return AddPartitionsToTxnResponse(0, [_add(cluster, row, context) for row in request.transactions])


def _add(cluster: Cluster, row: AddPartitionsToTxnTransaction, context: RequestContext) -> AddPartitionsToTxnResult:
    partitions = [(topic.name, index) for topic in row.topics for index in topic.partitions]
    missing = {partition for partition in partitions if cluster.find_log(*partition) is None}
    try:
        if not missing and row.verify_only:
            for partition in partitions:
                cluster.transactions.verify(row.transactional_id, row.producer_id, row.producer_epoch, partition)
        elif not missing:
            cluster.transactions.add_partitions(row.transactional_id, row.producer_id, row.producer_epoch, partitions)
        code = _OPERATION_NOT_ATTEMPTED if missing else 0
    except ProducerFencedError as error:
        code = error.code if context.api_version >= 2 else InvalidProducerEpochError.info.code
    except KafkaError as error:
        code = error.code
    unknown = UnknownTopicOrPartitionError.info.code
    return AddPartitionsToTxnResult(
        row.transactional_id,
        [
            AddPartitionsToTxnTopicResult(
                topic.name,
                [
                    AddPartitionsToTxnPartitionResult(index, unknown if (topic.name, index) in missing else code)
                    for index in topic.partitions
                ],
            )
            for topic in row.topics
        ],
    )
