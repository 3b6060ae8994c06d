"""Rules for requests about transactions, where rows are not all there is (Kafka: KafkaApis)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from broker_embedded.errors import KafkaError, OperationNotAttemptedError
from broker_embedded.security.acls import Operation, ResourceType
from broker_embedded.security.guard import Answer, Guard, cluster, denied, may_know, split, topic, transaction, whole
from broker_embedded.wire.error_response import error_response

if TYPE_CHECKING:
    from broker_embedded.wire.messages.transactions import (
        AddPartitionsToTxnRequest,
        AddPartitionsToTxnResponse,
        AddPartitionsToTxnTransaction,
        InitProducerIdRequest,
        InitProducerIdResponse,
    )

_BETWEEN_BROKERS: Final = 4


async def init_producer_id(guard: Guard, request: InitProducerIdRequest, answer: Answer) -> InitProducerIdResponse:
    """Write of the transactional id; without one, IdempotentWrite on the cluster or Write of any topic (KIP-679)."""
    error = transaction(Operation.WRITE)(guard, request)
    if request.transactional_id is None and not _may_be_idempotent(guard):
        error = denied(ResourceType.CLUSTER)
    if error is not None:
        return error_response(request, error)  # type: ignore[return-value]
    return await answer(request)  # type: ignore[no-any-return]


def _may_be_idempotent(guard: Guard) -> bool:
    session = guard.context.session
    return guard.allows_cluster(Operation.IDEMPOTENT_WRITE) or guard.authorizer.allows_some(
        session.principal, session.client_host, Operation.WRITE, ResourceType.TOPIC
    )


async def add_partitions(
    guard: Guard, request: AddPartitionsToTxnRequest, answer: Answer
) -> AddPartitionsToTxnResponse:
    """From version 4 on brokers ask: ClusterAction. Clients need Write of the id and of every topic: one that is denied
    keeps the others out as well, OPERATION_NOT_ATTEMPTED."""
    if guard.context.api_version >= _BETWEEN_BROKERS:
        return await _between_brokers(guard, request, answer)  # type: ignore[no-any-return]
    errors = [_check_partitions(guard, row) for row in request.transactions]
    response: AddPartitionsToTxnResponse = await split(
        request, "transactions", "results_by_transaction", errors, answer
    )
    _mark_not_attempted(guard, response)
    return response


_between_brokers = whole(cluster(Operation.CLUSTER_ACTION))


def _check_partitions(guard: Guard, row: AddPartitionsToTxnTransaction) -> KafkaError | None:
    error = transaction(Operation.WRITE)(guard, row)
    return error or next(filter(None, (topic(Operation.WRITE)(guard, found) for found in row.topics)), None)


def _mark_not_attempted(guard: Guard, response: AddPartitionsToTxnResponse) -> None:
    """Of the topics that are refused together, say which are refused for themselves."""
    code = denied(ResourceType.TOPIC).code
    for result in response.results_by_transaction:
        for row in result.topic_results:
            if topic(Operation.WRITE)(guard, row) is None:
                for partition in row.results_by_partition:
                    if partition.partition_error_code == code:
                        partition.partition_error_code = OperationNotAttemptedError.info.code


async def describe_transactions(guard: Guard, request: Any, answer: Answer) -> Any:
    """Describe of each id; of the topics in it, those that may be described."""
    check = transaction(Operation.DESCRIBE)
    errors = [check(guard, name) for name in request.transactional_ids]
    response = await split(request, "transactional_ids", "transaction_states", errors, answer)
    for state in response.transaction_states:
        state.topics = [row for row in state.topics if may_know(guard, row)]
    return response


async def list_transactions(guard: Guard, request: Any, answer: Answer) -> Any:
    """Those that may be described."""
    response = await answer(request)
    response.transaction_states = [
        row
        for row in response.transaction_states
        if guard.allows(Operation.DESCRIBE, ResourceType.TRANSACTIONAL_ID, row.transactional_id)
    ]
    return response
