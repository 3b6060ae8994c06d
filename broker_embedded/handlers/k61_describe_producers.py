# 61 DescribeProducers: what partitions know of their producers, as `kafka-transactions describe-producers` shows it.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import KafkaError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.transactions import (
    DescribeProducersPartitionResponse,
    DescribeProducersRequest,
    DescribeProducersResponse,
    DescribeProducersTopicResponse,
    ProducerState,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(61, versions=(0, 0))
async def handle(
    cluster: Cluster, request: DescribeProducersRequest, context: RequestContext
) -> DescribeProducersResponse:
    return DescribeProducersResponse(
        [
            DescribeProducersTopicResponse(
                topic.name, [_describe(cluster, topic.name, index) for index in topic.partition_indexes]
            )
            for topic in request.topics
        ]
    )


def _describe(cluster: Cluster, topic: str, index: int) -> DescribeProducersPartitionResponse:
    try:
        producers = cluster.log(topic, index).producers
    except KafkaError as error:
        return DescribeProducersPartitionResponse(index, error.code, str(error))
    rows = [
        ProducerState(
            producer_id,
            producer.epoch,
            producer.batches[-1].last_sequence if producer.batches else -1,
            producer.timestamp,
            producer.coordinator_epoch,
            producer.open_since,
        )
        for producer_id, producer in producers.items()
    ]
    return DescribeProducersPartitionResponse(index, active_producers=rows)
