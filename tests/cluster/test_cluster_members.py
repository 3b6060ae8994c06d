"""Members of a group while the broker that coordinates it dies, or freezes, and another one does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from streams.transport.contract import TopicSpec
from tests.cluster.kafka_cluster import KafkaCluster
from tests.interop.test_group_members import Party
from tests.streams.transport.group.players import PARTITIONS, Player

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TIMES = {"session_timeout_ms": 60_000, "heartbeat_interval_ms": 200}


@pytest.mark.parametrize("fault", [KafkaCluster.kill, KafkaCluster.freeze], ids=["dies", "freezes"])
async def test_the_coordinator(three_brokers: KafkaCluster, fault: Callable[[KafkaCluster, int], None]) -> None:
    party = Party(three_brokers.bootstrap, f"members-{fault.__name__}")
    gone = 0
    try:
        transport = await party.transport()
        if "t" not in await transport.topics():
            await transport.create([TopicSpec("t", len(PARTITIONS))])
        players = [Player(name) for name in "ab"]
        members = [await party.member(players[0], "seat", **TIMES), await party.member(players[1], **TIMES)]
        await party.shared(*players)
        before = [member.identity for member in members]
        gone = await asyncio.to_thread(three_brokers.group_coordinator, party.group)
        await asyncio.to_thread(fault, three_brokers, gone)
        await asyncio.gather(*(member.settled(member.identity.generation) for member in members))
        assert [member.identity for member in members] == before
        members[1].rejoin("there is another coordinator")
        await party.until(lambda: members[1].identity.generation > before[1].generation)
        await party.shared(*players)
        assert all("lost" not in player.seen for player in players)
    finally:
        if gone and gone not in three_brokers.away:
            three_brokers.thaw(gone)
        await party.close()
