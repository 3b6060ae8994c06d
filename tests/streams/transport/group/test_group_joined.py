"""Members of a group of a data folder: whoever holds it dies, another takes it over, and the group goes on."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker_embedded.config import BrokerConfig
from streams.transport.contract import Committed, TopicSpec
from streams.transport.group.member import GroupMember
from streams.transport.joined import JoinedTransport, open_folder
from tests.streams.transport.group.players import PARTITIONS, Player

PROGRAM = Path(__file__).parents[1] / "joined_process.py"
ROOT = Path(__file__).parents[4]


@pytest.fixture
async def holder(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that holds the folder."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAM), str(tmp_path)),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    yield process
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def test_the_group_outlives_who_holds_the_folder(holder: asyncio.subprocess.Process, tmp_path: Path) -> None:
    transport = await open_folder(tmp_path / "log", BrokerConfig(group_initial_rebalance_delay_ms=0))
    assert isinstance(transport, JoinedTransport)
    await transport.create([TopicSpec("t", len(PARTITIONS))])
    players = [Player(name) for name in "ab"]
    members = [
        GroupMember(transport.asks, "g", player, instance_id=instance, heartbeat_interval_ms=50)
        for player, instance in zip(players, ("seat", None), strict=True)
    ]
    for player, member in zip(players, members, strict=True):
        player.member = member
    running = [asyncio.create_task(member.run()) for member in members]
    async with asyncio.timeout(30):
        while not all(len(player.owned) == 3 for player in players):
            await asyncio.sleep(0.01)
        before = [member.identity for member in members]
        holder.kill()
        await holder.wait()
        await asyncio.gather(*(member.settled(member.identity.generation) for member in members))
        assert [member.identity for member in members] == before
        producer = transport.producer(transactional_id="p")
        await producer.start()
        await producer.begin()
        await producer.send_offsets(members[0].identity, {PARTITIONS[0]: Committed(1)})
        await producer.commit()
        members[1].rejoin("somebody else holds the folder")
        while members[0].identity.generation == before[0].generation:
            await asyncio.sleep(0.01)
    assert all("lost" not in player.seen for player in players)
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    for member in members:
        await member.leave()
    await transport.stop()
