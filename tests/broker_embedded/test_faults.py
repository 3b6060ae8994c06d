"""Faults at requests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from broker_embedded.errors import CoordinatorNotAvailableError
from broker_embedded.faults import Fault, Faults, SimulatedCrash


@pytest.fixture(autouse=True)
async def topic(client: Any) -> None:
    await client.create("flights")


def values(client: Any) -> list[str]:
    found: list[str] = client.read("flights")
    return found


async def test_an_error_instead_of_an_answer(client: Any) -> None:
    client.cluster.faults = Faults().add(Fault(api_key=0, error=15, times=2))
    for _ in range(2):
        with pytest.raises(CoordinatorNotAvailableError, match="injected fault before ProduceRequest"):
            await client.produce("flights", "a")
    assert values(client) == []
    await client.produce("flights", "b")
    assert values(client) == ["b"]
    assert client.cluster.faults.waiting == []


async def test_an_answer_that_is_lost(client: Any) -> None:
    client.cluster.faults = Faults().add(Fault(api_key=0, crash=True, after=True))
    with pytest.raises(SimulatedCrash, match="after ProduceRequest"):
        await client.produce("flights", "a")
    assert values(client) == ["a"]


async def test_only_the_named_key(client: Any) -> None:
    client.cluster.faults = Faults().add(Fault(api_key=26, crash=True))
    await client.produce("flights", "a")
    writer = await client.init()
    with pytest.raises(SimulatedCrash, match="before EndTxnRequest"):
        await client.end(writer)


async def test_any_key(client: Any) -> None:
    client.cluster.faults = Faults().add(Fault(api_key=None, crash=True))
    with pytest.raises(SimulatedCrash):
        await client.fetch("flights")


async def test_waiting(client: Any) -> None:
    go_on = asyncio.Event()
    client.cluster.faults = Faults().add(Fault(api_key=0, until=go_on, delay_ms=1))
    late = asyncio.create_task(client.produce("flights", "late"))
    await asyncio.sleep(0)
    await client.produce("flights", "early")
    go_on.set()
    await late
    assert values(client) == ["early", "late"]


def test_a_fault_for_no_request_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match=r"api_key='Produce': it is the number of a request; 0 is Produce"):
        Fault("Produce", error=6)  # type: ignore[arg-type]
