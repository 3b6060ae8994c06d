# 65 DescribeTransactions: the newest transaction of transactional ids. An unknown id is TRANSACTIONAL_ID_NOT_FOUND, an
# empty one INVALID_REQUEST.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import InvalidRequestError, TransactionalIdNotFoundError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    DescribeTransactionsState,
    DescribeTransactionsTopicData,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


@handler(65, versions=(0, 0))
async def handle(
    cluster: Cluster, request: DescribeTransactionsRequest, context: RequestContext
) -> DescribeTransactionsResponse:
    return DescribeTransactionsResponse([_describe(cluster, name) for name in request.transactional_ids])


def _describe(cluster: Cluster, transactional_id: str) -> DescribeTransactionsState:
    txn = cluster.transactions.by_id.get(transactional_id)
    if txn is None:
        missing = TransactionalIdNotFoundError if transactional_id else InvalidRequestError
        return DescribeTransactionsState(transactional_id, missing.info.code)
    topics: dict[str, DescribeTransactionsTopicData] = {}
    for topic, index in sorted(txn.partitions):
        topics.setdefault(topic, DescribeTransactionsTopicData(topic)).partitions.append(index)
    return DescribeTransactionsState(
        transactional_id,
        0,
        txn.state.title,
        txn.timeout_ms,
        txn.started_ms,
        txn.producer_id,
        txn.producer_epoch,
        list(topics.values()),
    )
