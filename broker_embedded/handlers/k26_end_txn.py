# 26 EndTxn: commit or abort.
#
# - Again after the same outcome is fine; after the other one, or with nothing in the transaction, INVALID_TXN_STATE.
# - From version 5 on (KIP-890) the answer has the epoch of the next transaction, or a new producer id where epochs have
#   run out; a retry names the epoch before. An abort with nothing in the transaction gives a new epoch, too.
# - Before version 2 PRODUCER_FENCED is INVALID_PRODUCER_EPOCH (KIP-588).
# - KAFKA_STORAGE_ERROR leaves the outcome open: it is what the log says at the next open.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.coordinator.transactions.rules import error_code
from broker_embedded.errors import KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.transactions import EndTxnRequest, EndTxnResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_BUMPS_EPOCH = 5


@handler(26, versions=(0, 5))
async def handle(cluster: Cluster, request: EndTxnRequest, context: RequestContext) -> EndTxnResponse:
    # In the process a call is done or raises: nothing comes late, and an epoch lasts as long as its producer.
    version = 2 if context.api_version >= _BUMPS_EPOCH and not context.in_process else 0
    producer = (request.transactional_id, request.producer_id, request.producer_epoch)
    try:
        producer_id, epoch = await cluster.transactions.end(*producer, commit=request.committed, version=version)
    except KafkaError as error:
        return EndTxnResponse(error_code(error, knows_fenced=context.api_version >= 2), error_message=str(error))
    return EndTxnResponse(0, producer_id, epoch)
