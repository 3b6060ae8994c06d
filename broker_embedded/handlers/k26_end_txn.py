# 26 EndTxn: commit or abort.
#
# - With nothing in the transaction it is fine; again after the same outcome too; after the other one INVALID_TXN_STATE.
# - Before version 2 PRODUCER_FENCED is INVALID_PRODUCER_EPOCH (KIP-588).
# - KAFKA_STORAGE_ERROR leaves the outcome open: it is what the log says at the next open.
# - Not here yet: version 5's new epoch per transaction (KIP-890).
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.transactions import EndTxnRequest, EndTxnResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(26, versions=(0, 5))
async def handle(cluster: Cluster, request: EndTxnRequest, context: RequestContext) -> EndTxnResponse:
    try:
        await cluster.transactions.end(
            request.transactional_id, request.producer_id, request.producer_epoch, commit=request.committed
        )
    except ProducerFencedError as error:
        code = error.code if context.api_version >= 2 else InvalidProducerEpochError.info.code
        return EndTxnResponse(code, error_message=str(error))
    except KafkaError as error:
        return EndTxnResponse(error.code, error_message=str(error))
    return EndTxnResponse(0, request.producer_id, request.producer_epoch)
