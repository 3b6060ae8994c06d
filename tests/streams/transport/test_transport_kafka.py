"""The Kafka transport against our own broker over a socket; against a real Kafka in tests/interop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import broker_embedded
from streams.testing.transport import CHECKS, Check, run_check
from streams.transport.kafka import KafkaTransport
from streams.transport.kafka.connection import ConnectionLostError


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with broker_embedded.running() as broker:
        yield broker.bootstrap_servers


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_contract(check: Check, address: str) -> None:
    await run_check(check, lambda: KafkaTransport(address))


async def test_nobody_there_is_named() -> None:
    transport = KafkaTransport("127.0.0.1:1")
    with pytest.raises(ConnectionLostError, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
        await transport.start()
