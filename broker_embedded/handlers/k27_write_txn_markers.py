# 27 WriteTxnMarkers: end a producer's transaction in partitions, without its coordinator.
#
# - Sent between brokers, and by `kafka-transactions abort` for a transaction that hangs.
# - A stale epoch is INVALID_PRODUCER_EPOCH; from transaction version 2 on (version 2+, KIP-890) the epoch has to be a
#   newer one, unless the transaction is over already.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.coordinator.transactions.markers import append_marker
from broker_embedded.coordinator.transactions.rules import BUMPS_EPOCH
from broker_embedded.errors import InvalidProducerEpochError, KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.transactions import (
    WritableTxnMarker,
    WritableTxnMarkerPartitionResult,
    WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(27, versions=(1, 2))
async def handle(cluster: Cluster, request: WriteTxnMarkersRequest, context: RequestContext) -> WriteTxnMarkersResponse:
    return WriteTxnMarkersResponse([_mark(cluster, marker) for marker in request.markers])


def _mark(cluster: Cluster, marker: WritableTxnMarker) -> WritableTxnMarkerResult:
    result = WritableTxnMarkerResult(marker.producer_id)
    for topic in marker.topics:
        row = WritableTxnMarkerTopicResult(topic.name)
        for index in topic.partition_indexes:
            code = 0
            try:
                _write(cluster, marker, topic.name, index)
            except KafkaError as error:
                code = error.code
            row.partitions.append(WritableTxnMarkerPartitionResult(index, code))
        result.topics.append(row)
    return result


def _write(cluster: Cluster, marker: WritableTxnMarker, topic: str, index: int) -> None:
    target = cluster.log(topic, index)
    producer_id, epoch, commit = marker.producer_id, marker.producer_epoch, marker.transaction_result
    producer = target.producers.get(producer_id)
    is_same = producer is not None and producer.epoch == epoch and producer.open_since >= 0
    if is_same and marker.transaction_version >= BUMPS_EPOCH:
        raise InvalidProducerEpochError(
            f"{topic}-{index}: a marker with epoch {epoch} for producer {producer_id}, whose transaction has it: "
            f"since transaction version {BUMPS_EPOCH} a marker has the next one"
        )
    append_marker(cluster, target, producer_id, epoch, commit=commit, coordinator_epoch=marker.coordinator_epoch)
