"""A member over the wire while answers are lost and connections break."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

import broker_embedded
from broker_embedded import Fault, RunningBroker
from streams.transport.group import member as module
from streams.transport.group.member import GroupMember
from streams.transport.kafka import KafkaTransport
from tests.streams.transport.group.players import Player

JOIN, HEARTBEAT, SYNC = 11, 12, 14
FAULTS = [
    Fault(close=True),
    Fault(close=True, after=True),
    Fault(drop=True),
    Fault(drop=True, after=True),
    Fault(delay_ms=700),
]


@pytest.fixture(scope="module")
def broker() -> Iterator[RunningBroker]:
    with broker_embedded.running() as broker:
        yield broker


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is late is given up soon."""
    monkeypatch.setattr(module, "_LATE_MS", 0)
    monkeypatch.setattr(module, "_HEARTBEAT_LEAST_MS", 0)


def named(fault: Fault) -> str:
    what = "close" if fault.close else "drop" if fault.drop else "late"
    return what + "-after" * fault.after


@pytest.mark.parametrize("fault", FAULTS, ids=named)
@pytest.mark.parametrize(("key", "instance"), [(JOIN, None), (JOIN, "seat"), (SYNC, None), (HEARTBEAT, None)])
async def test_nothing_is_lost_but_time(broker: RunningBroker, key: int, fault: Fault, instance: str | None) -> None:
    transport = KafkaTransport(broker.bootstrap_servers)
    await transport.start()
    player = Player("a")
    times = {"heartbeat_interval_ms": 20, "rebalance_timeout_ms": 500, "session_timeout_ms": 6_000}
    member = GroupMember(transport.asks, f"{key}-{named(fault)}-{instance}", player, instance_id=instance, **times)
    player.member = member
    running = asyncio.create_task(member.run())
    async with asyncio.timeout(20):
        while not player.seen:
            await asyncio.sleep(0.01)
        before = member.identity
        broker.faults().add(Fault(key, close=fault.close, drop=fault.drop, after=fault.after, delay_ms=fault.delay_ms))
        member.rejoin("trouble")
        while member.identity.generation == before.generation:
            await asyncio.sleep(0.01)
        await member.settled(member.identity.generation)
        while broker.faults().waiting:
            await asyncio.sleep(0.01)
        await member.settled(member.identity.generation)
    assert member.identity.member_id == before.member_id
    assert set(player.seen) == {"assigned 6"}
    running.cancel()
    await asyncio.wait([running])
    await member.leave()
    await transport.stop()
