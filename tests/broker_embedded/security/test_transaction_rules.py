"""Rules for transactions where rows are not all: producer ids, partitions that go together, what admins see."""

from __future__ import annotations

from typing import Any

import pytest

from broker_embedded.security.acls import Operation, ResourceType
from broker_embedded.wire.messages.transactions import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    DescribeTransactionsState,
    DescribeTransactionsTopicData,
    InitProducerIdRequest,
    ListTransactionsRequest,
    ListTransactionsResponse,
    ListTransactionsState,
)

TOPIC, TXN, CLUSTER, ON_CLUSTER = (
    ResourceType.TOPIC,
    ResourceType.TRANSACTIONAL_ID,
    ResourceType.CLUSTER,
    "kafka-cluster",
)
WRITE, DESCRIBE = Operation.WRITE, Operation.DESCRIBE


@pytest.mark.parametrize(
    ("transactional_id", "rights", "code"),
    [
        ("t", [], 53),
        ("t", [(TXN, "t", WRITE)], 0),
        ("t", [(TOPIC, "open", WRITE)], 53),
        (None, [], 31),
        (None, [(CLUSTER, ON_CLUSTER, Operation.IDEMPOTENT_WRITE)], 0),
        (None, [(TOPIC, "open", WRITE)], 0),
        (None, [(TOPIC, "open", Operation.READ)], 31),
    ],
)
async def test_producer_ids(stand: Any, transactional_id: str | None, rights: list[Any], code: int) -> None:
    answer = await stand.ask(InitProducerIdRequest(transactional_id), rights)

    assert (answer.error_code, answer.producer_id) == (code, -1)


def adding(*topics: str) -> AddPartitionsToTxnRequest:
    rows = [AddPartitionsToTxnTopic(name, [0]) for name in topics]
    return AddPartitionsToTxnRequest([AddPartitionsToTxnTransaction("t", 1, 0, topics=rows)])


def results(answer: Any) -> dict[str, list[int]]:
    (result,) = answer.results_by_transaction
    assert result.transactional_id == "t"
    return {row.name: [part.partition_error_code for part in row.results_by_partition] for row in result.topic_results}


@pytest.mark.parametrize(
    ("rights", "codes"),
    [
        ([], {"open": [53], "secret": [53]}),
        ([(TXN, "t", WRITE)], {"open": [29], "secret": [29]}),
        ([(TXN, "t", WRITE), (TOPIC, "open", WRITE)], {"open": [55], "secret": [29]}),
        ([(TXN, "t", WRITE), (TOPIC, "open", WRITE), (TOPIC, "secret", WRITE)], {"open": [0], "secret": [0]}),
    ],
)
async def test_partitions_join_together_or_not_at_all(
    stand: Any, rights: list[Any], codes: dict[str, list[int]]
) -> None:
    handler = stand.Handler()

    answer = await stand.ask(adding("open", "secret"), rights, handler, version=3)

    assert results(answer) == codes
    assert answer.error_code == 0
    assert (handler.seen is not None) is (codes["open"] == [0])


async def test_from_version_4_on_brokers_ask(stand: Any) -> None:
    every = [(TXN, "t", WRITE), (TOPIC, "open", WRITE)]
    action = [(CLUSTER, ON_CLUSTER, Operation.CLUSTER_ACTION)]

    assert (await stand.ask(adding("open"), every, version=4)).error_code == 31
    assert (await stand.ask(adding("open"), action, version=4)).error_code == 0


@pytest.mark.parametrize("right", [Operation.ALTER, Operation.CLUSTER_ACTION])
async def test_markers_are_written_by_brokers_and_admins(stand: Any, right: Operation) -> None:
    request = stand.request(27)
    refused, allowed = stand.Handler(), stand.Handler()

    await stand.ask(request, [(CLUSTER, ON_CLUSTER, DESCRIBE)], refused)
    await stand.ask(request, [(CLUSTER, ON_CLUSTER, right)], allowed)

    assert refused.seen is None
    assert allowed.seen is request


async def test_what_is_told_of_transactions(stand: Any) -> None:
    topics = [DescribeTransactionsTopicData(name) for name in ("open", "secret")]
    state = DescribeTransactionsState("open", topics=topics)
    handler = stand.Handler(DescribeTransactionsResponse([state]))
    rights = [(TXN, "open", DESCRIBE), (TOPIC, "open", DESCRIBE)]

    answer = await stand.ask(DescribeTransactionsRequest(["open", "secret"]), rights, handler)

    assert handler.seen.transactional_ids == ["open"]
    assert {row.transactional_id: row.error_code for row in answer.transaction_states} == {"open": 0, "secret": 53}
    assert [row.topic for row in answer.transaction_states[0].topics] == ["open"]


async def test_a_list_of_transactions(stand: Any) -> None:
    rows = [ListTransactionsState(name, 1, "Empty") for name in ("open", "secret")]
    handler = stand.Handler(ListTransactionsResponse(transaction_states=rows))

    answer = await stand.ask(ListTransactionsRequest(), [(TXN, "open", DESCRIBE)], handler)

    assert [row.transactional_id for row in answer.transaction_states] == ["open"]
