"""Members come, go, die, freeze and meet errors at random. At no time may two of them commit for one partition; left in
peace, they share all of them evenly.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any

import pytest

from broker_embedded.errors import KafkaError
from broker_embedded.wire.messages.groups import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest
from streams.transport.contract import ConnectionLostError
from streams.transport.embedded.asks import InProcess
from tests.streams.transport.group.players import PARTITIONS, Player

IN_A_HURRY, SEEDS_BY_DEFAULT = 4, 40
SEEDS = [
    pytest.param(seed, marks=[] if seed < IN_A_HURRY else pytest.mark.slow)
    for seed in range(int(os.environ.get("MEMBER_SEEDS", SEEDS_BY_DEFAULT)))
]
LOOK_S = 0.05
KINDS = (JoinGroupRequest, SyncGroupRequest, HeartbeatRequest)
CODES = (14, 15, 16, 27, 22, 25, None)  # None: the answer is lost
MOST = 5


class Unsteady(InProcess):
    """A process whose requests meet trouble, and which can be frozen: then nothing goes out, and nothing comes in."""

    def __init__(self, cluster: Any, check: Callable[[], None]) -> None:
        super().__init__(cluster)
        self.check = check
        self.awake = asyncio.Event()
        self.awake.set()
        self.troubles: list[tuple[Any, int | None]] = []

    async def ask_coordinator(self, request: Any, name: str, **more: Any) -> Any:
        self.check()
        await self.awake.wait()
        answer = await super().ask_coordinator(request, name, **more)
        await self.awake.wait()
        if self.troubles and self.troubles[0][0] is type(request):
            _, code = self.troubles.pop(0)
            if code is None:
                raise ConnectionLostError("its answer was not heard")
            return type(answer)(error_code=code)
        return answer


class Crowd:
    """What happens to members, at random."""

    def __init__(self, world: Any, seed: int) -> None:
        self.world = world
        self.random = Random(seed)
        self.names = count()
        self.alive: dict[Any, tuple[Player, Unsteady, str | None]] = {}
        self.free_seats: list[str] = []
        self.wrong: list[str] = []

    def come(self) -> None:
        if len(self.alive) < MOST:
            name = f"{next(self.names):03}"
            seat = self.random.choice([None, f"seat-{name}", *self.free_seats])
            if seat in self.free_seats:
                self.free_seats.remove(seat)
            player, asks = Player(name), Unsteady(self.world.cluster, self.check)
            self.alive[self.world.member(player, seat, asks)] = (player, asks, seat)

    def _pick(self) -> Any:
        return self.random.choice(list(self.alive))

    async def die(self) -> None:
        member = self._pick()
        await self.world.kill(member)
        _, _, seat = self.alive.pop(member)
        if seat is not None:
            self.free_seats.append(seat)

    async def leave(self) -> None:
        member = self._pick()
        _, asks, seat = self.alive.pop(member)
        asks.awake.set()
        await self.world.kill(member)
        await member.leave()
        if seat is not None:
            self.free_seats.append(seat)

    async def freeze(self) -> None:
        self.alive[self._pick()][1].awake.clear()

    async def thaw(self) -> None:
        self.alive[self._pick()][1].awake.set()

    async def rejoin(self) -> None:
        self._pick().rejoin("news")

    async def trouble(self) -> None:
        asks = self.alive[self._pick()][1]
        asks.troubles += [(self.random.choice(KINDS), self.random.choice(CODES))] * self.random.randrange(1, 4)

    async def happen(self) -> None:
        if not self.alive or self.random.random() < 0.3:
            self.come()
        else:
            await self.random.choice(
                [self.die, self.leave, self.freeze, self.thaw, self.thaw, self.rejoin, self.trouble]
            )()
        await asyncio.sleep(self.random.choice([0, 0.01, 0.5, 3, 12]))

    def owners(self) -> dict[Any, list[Any]]:
        """Who could commit for each partition just now."""
        found: dict[Any, list[Any]] = {}
        for member, (player, _, _) in self.alive.items():
            me = member.identity
            try:
                self.world.cluster.groups.check_commit(
                    *(me.group, me.member_id, me.generation, me.instance_id), transactional=True, api_version=5
                )
            except KafkaError:
                continue
            for tp in player.owned:
                found.setdefault(tp, []).append(member.identity)
        return found

    def check(self) -> None:
        for tp, owners in self.owners().items():
            if len(owners) > 1:
                self.wrong.append(f"{tp}: {owners}")

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self.check()

    def is_even(self) -> bool:
        shares = [player.owned for player, _, _ in self.alive.values()]
        sizes = [len(share) for share in shares]
        return sum(sizes) == len(PARTITIONS) == len(set().union(*shares)) and max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_partition_has_one_owner(world: Any, seed: int) -> None:
    async def work() -> None:
        crowd = Crowd(world, seed)
        watching = asyncio.create_task(crowd.watch())
        try:
            for _ in range(40):
                await crowd.happen()
                assert crowd.wrong == []
            crowd.come()
            for _, asks, _ in crowd.alive.values():
                asks.troubles.clear()
                asks.awake.set()
            await world.until(crowd.is_even)
            await asyncio.sleep(30)
            assert crowd.is_even()
            assert crowd.wrong == []
            assert not any(world.tasks[member].done() for member in crowd.alive)
        finally:
            watching.cancel()

    world.run(work)
