# 25 AddOffsetsToTxn: make the offsets of a group part of a transaction.
#
# - Before version 2 PRODUCER_FENCED is INVALID_PRODUCER_EPOCH (KIP-588).
# - The group need not exist: TxnOffsetCommit looks at it. Clients that have TxnOffsetCommit 5 do not send this.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.coordinator.transactions.rules import error_code
from broker_embedded.errors import KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.transactions import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(25, versions=(0, 4))
async def handle(cluster: Cluster, request: AddOffsetsToTxnRequest, context: RequestContext) -> AddOffsetsToTxnResponse:
    producer = (request.transactional_id, request.producer_id, request.producer_epoch)
    try:
        cluster.transactions.add_partitions(*producer, [cluster.offsets.partition_of(request.group_id)])
    except KafkaError as error:
        return AddOffsetsToTxnResponse(error_code(error, knows_fenced=context.api_version >= 2))
    return AddOffsetsToTxnResponse()
