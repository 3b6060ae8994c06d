"""Members of a group of an embedded broker, in virtual time: hours of heartbeats take none."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[4]))  # the tests share what they run

from broker_embedded.cluster import Cluster
from broker_embedded.config import BrokerConfig
from streams.testing.driver.clock import Clock
from streams.testing.driver.virtual_loop import VirtualLoop
from streams.transport.contract import Asks
from streams.transport.embedded.asks import InProcess
from streams.transport.group.member import GroupMember
from tests.streams.transport.group.players import PARTITIONS, Player

TICK_S = 0.1


class World:
    """A loop in virtual time, and a broker in it; what members run in is cancelled at the end."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.clock = Clock(1_700_000_000_000)
        self.loop = VirtualLoop(self.clock)
        config.setdefault("group_initial_rebalance_delay_ms", 0)
        self.cluster = Cluster.open(folder, config=BrokerConfig(**config), now_ms=lambda: self.clock.now_ms)
        self.asks: Asks = InProcess(self.cluster)
        self.tasks: dict[GroupMember, asyncio.Task[None]] = {}

    def run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def with_ticks() -> None:
            ticks = asyncio.create_task(self._tick())
            try:
                await work()
            finally:
                for task in (ticks, *self.tasks.values()):
                    task.cancel()
                await asyncio.gather(ticks, *self.tasks.values(), return_exceptions=True)

        self.loop.run(with_ticks())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.cluster.tick()

    def member(self, player: Player, instance_id: str | None = None, asks: Asks | None = None, **more: Any) -> Any:
        """A member that runs."""
        settings = {"session_timeout_ms": 10_000, "heartbeat_interval_ms": 1_000, "rebalance_timeout_ms": 60_000} | more
        member = GroupMember(asks or self.asks, "g", player, instance_id=instance_id, **settings)
        player.member = member
        self.tasks[member] = asyncio.create_task(member.run())
        return member

    async def kill(self, member: GroupMember) -> None:
        """As kill -9 does: the seat stays."""
        task = self.tasks.pop(member)
        task.cancel()
        await asyncio.wait([task])

    async def until(self, holds: Callable[[], bool], within_s: float = 600) -> None:
        async with asyncio.timeout(within_s):
            while not holds():
                await asyncio.sleep(TICK_S)

    async def shared(self, *players: Player) -> None:
        """Until the players have everything, evenly."""
        even = len(PARTITIONS) // len(players)
        await self.until(
            lambda: (
                all(len(player.owned) == even for player in players)
                and set().union(*(player.owned for player in players)) == set(PARTITIONS)
            )
        )

    def close(self) -> None:
        asyncio.run(self.cluster.close())
        self.loop.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "broker")
    yield world
    world.close()


@pytest.fixture
def make_player() -> Callable[[str], Player]:
    return Player
