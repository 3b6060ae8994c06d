"""When a topic counts as missing in a cluster of several brokers, of which some may know less than others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from broker_embedded.wire.messages.topics import (
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from streams.transport.contract import ConnectionLostError
from streams.transport.error_codes import RetryError
from streams.transport.kafka.connection import KafkaConnection

UNKNOWN = 3


def answer(known: bool, brokers: int) -> MetadataResponse:
    partition = MetadataResponsePartition(0, 0, 1, replica_nodes=[1])
    topic = MetadataResponseTopic(
        0 if known else UNKNOWN, "flights", UUID(int=1), partitions=[partition] if known else []
    )
    return MetadataResponse(brokers=[MetadataResponseBroker(n, "", 0) for n in range(1, brokers + 1)], topics=[topic])


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        ({1: "knows"}, True),
        ({1: "does not"}, False),
        ({1: "does not", 2: "does not", 3: "knows"}, True),
        ({1: "does not", 2: "does not", 3: "is away"}, False),
        ({1: "does not", 2: "is away", 3: "is away"}, ConnectionLostError),
        ({1: "is away", 2: "is away", 3: "is away"}, ConnectionLostError),
        ({1: "alone", 2: "is away", 3: "knows"}, True),
    ],
)
async def test_most_brokers_have_to_say_so(
    nodes: dict[int, str], found: bool | type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = KafkaConnection("nowhere:9092")
    connection._client = SimpleNamespace(get_random_node=lambda: 1)  # type: ignore[assignment]
    connection.leaders._nodes = set(nodes)

    async def metadata(names: Any, node: int, timeout_ms: int) -> MetadataResponse:
        if nodes[node] == "is away":
            raise ConnectionLostError("no answer")
        return answer(nodes[node] == "knows", 1 if nodes[node] == "alone" else len(nodes))

    monkeypatch.setattr(connection, "metadata_of", metadata)
    if isinstance(found, bool):
        assert ("flights" in await connection.leaders._learn(["flights"])) is found
    else:
        with pytest.raises(found):
            await connection.leaders._learn(["flights"])


async def test_the_first_answer_of_a_cluster_is_no_answer_of_most(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = KafkaConnection("nowhere:9092")
    connection._client = SimpleNamespace(get_random_node=lambda: 1)  # type: ignore[assignment]

    async def metadata(names: Any, node: int, timeout_ms: int) -> MetadataResponse:
        return answer(node == 3, 3)

    monkeypatch.setattr(connection, "metadata_of", metadata)
    with pytest.raises(RetryError):
        await connection.leaders._learn(["flights"])
    assert "flights" in await connection.leaders._learn(["flights"])


async def test_who_forgets_takes_nothing_from_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = KafkaConnection("nowhere:9092")
    connection._client = SimpleNamespace(get_random_node=lambda: 1)  # type: ignore[assignment]

    async def metadata(names: Any, node: int, timeout_ms: int) -> MetadataResponse:
        connection.forget()
        return answer(True, 1)

    connection.leaders._topics["planes"] = connection.leaders._remember(answer(True, 1))["flights"]
    del connection.leaders._topics["flights"]
    monkeypatch.setattr(connection, "metadata_of", metadata)
    assert set(await connection.leaders.topics(["planes", "flights"])) == {"planes", "flights"}
