# 22 InitProducerId: a producer id for an idempotent producer; id and epoch for a transactional one.
#
# - A transactional id gets the next epoch, which shuts older instances out; what they left open is aborted first. Kafka
#   answers CONCURRENT_TRANSACTIONS meanwhile; here that is done before the answer.
# - With id and epoch (version 3+, KIP-360) the same instance asks again; one without the other is INVALID_REQUEST.
# - Before version 4 PRODUCER_FENCED is INVALID_PRODUCER_EPOCH (KIP-588).
# - Not served: version 6, two-phase commit (KIP-939), which Kafka has not released.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.coordinator.transactions.rules import error_code
from broker_embedded.errors import InvalidRequestError, KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.transactions import InitProducerIdRequest, InitProducerIdResponse

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(22, versions=(0, 5))
async def handle(cluster: Cluster, request: InitProducerIdRequest, context: RequestContext) -> InitProducerIdResponse:
    try:
        if (request.producer_id == -1) != (request.producer_epoch == -1):
            raise InvalidRequestError("producer id and epoch come together or not at all")
        if request.transactional_id is None:
            return InitProducerIdResponse(0, cluster.next_producer_id(), 0)
        producer_id, epoch = cluster.transactions.init_producer_id(
            request.transactional_id, request.transaction_timeout_ms, request.producer_id, request.producer_epoch
        )
    except KafkaError as error:
        return InitProducerIdResponse(error_code(error, knows_fenced=context.api_version >= 4))
    return InitProducerIdResponse(0, producer_id, epoch)
