"""A member over the wire while answers are lost and connections break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

import broker_embedded
from broker_embedded import Fault, RunningBroker
from streams.transport.group import member as module
from streams.transport.group.member import GroupMember
from streams.transport.kafka import KafkaTransport
from tests.streams.transport.group.players import Player

JOIN, HEARTBEAT, SYNC = 11, 12, 14
REBALANCE_MS = 60_000
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


@pytest.fixture
async def transport(broker: RunningBroker) -> AsyncIterator[KafkaTransport]:
    transport = KafkaTransport(broker.bootstrap_servers)
    await transport.start()
    yield transport
    await transport.stop()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is late is given up soon, long before the broker gives the member up."""
    monkeypatch.setattr(module, "_LATE_MS", 500 - REBALANCE_MS)
    monkeypatch.setattr(module, "_HEARTBEAT_LEAST_MS", 0)


def named(fault: Fault) -> str:
    what = "close" if fault.close else "drop" if fault.drop else "late"
    return what + "-after" * fault.after


@pytest.mark.parametrize("fault", FAULTS, ids=named)
@pytest.mark.slow
@pytest.mark.parametrize(("key", "instance"), [(JOIN, None), (JOIN, "seat"), (SYNC, None), (HEARTBEAT, None)])
async def test_nothing_is_lost_but_time(
    broker: RunningBroker, transport: KafkaTransport, key: int, fault: Fault, instance: str | None
) -> None:
    player = Player("a")
    session_ms = 6_000 if key == HEARTBEAT else 60_000
    times = {"heartbeat_interval_ms": 20, "rebalance_timeout_ms": REBALANCE_MS, "session_timeout_ms": session_ms}
    member = GroupMember(transport.asks, f"{key}-{named(fault)}-{instance}", player, instance_id=instance, **times)
    player.member = member
    running = asyncio.create_task(member.run())
    try:
        async with asyncio.timeout(20):
            await meet(fault, key, broker, member, player)
    finally:
        running.cancel()
        await asyncio.wait([running])
        await member.leave()
    assert set(player.seen) == {"assigned 6"}


async def meet(fault: Fault, key: int, broker: RunningBroker, member: GroupMember, player: Player) -> None:
    while not player.seen:
        await asyncio.sleep(0.01)
    before = member.identity
    broker.faults().add(Fault(key, close=fault.close, drop=fault.drop, after=fault.after, delay_ms=fault.delay_ms))
    member.rejoin("trouble")
    while member.identity.generation == before.generation or broker.faults().waiting:
        await asyncio.sleep(0.01)
    await member.settled(member.identity.generation)
    assert member.identity.member_id == before.member_id
