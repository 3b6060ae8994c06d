# 66 ListTransactions: transactional ids with their producer and state.
#
# - Filters: states (unknown ones are named in the answer), producer ids, how long they are open (version 1+), a pattern
#   for the whole id (version 2+; INVALID_REGULAR_EXPRESSION), in Python's syntax, which shares with Java's what is in
#   common use.
from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from broker_embedded.coordinator.transactions.states import State
from broker_embedded.errors import InvalidRegularExpressionError
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.wire.messages.transactions import (
    ListTransactionsRequest,
    ListTransactionsResponse,
    ListTransactionsState,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.coordinator.transactions.log import Transaction


@handler(66, versions=(0, 2))
async def handle(
    cluster: Cluster, request: ListTransactionsRequest, context: RequestContext
) -> ListTransactionsResponse:
    known = {state.title for state in State}
    unknown = [name for name in request.state_filters if name not in known]
    try:
        included = _filter(request, cluster.now_ms())
    except re.error:
        return ListTransactionsResponse(InvalidRegularExpressionError.info.code)
    rows = [
        ListTransactionsState(txn.transactional_id, txn.producer_id, txn.state.title)
        for txn in cluster.transactions.by_id.values()
        if included(txn)
    ]
    return ListTransactionsResponse(0, unknown, rows)


def _filter(request: ListTransactionsRequest, now_ms: int) -> Callable[[Transaction], bool]:
    pattern = re.compile(request.transactional_id_pattern) if request.transactional_id_pattern else None

    def included(txn: Transaction) -> bool:
        return (
            (not request.producer_id_filters or txn.producer_id in request.producer_id_filters)
            and (not request.state_filters or txn.state.title in request.state_filters)
            and (request.duration_filter < 0 or now_ms - txn.started_ms > request.duration_filter)
            and (pattern is None or pattern.fullmatch(txn.transactional_id) is not None)
        )

    return included
