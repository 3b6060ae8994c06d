"""The parts of a worker, moved by hand, and an app whose results tell whether a record was counted once."""

from __future__ import annotations

import asyncio

import streams
from streams.runtime.assembly import Assembly
from streams.runtime.loop import Loop
from streams.runtime.observer import Restoring


def counting(name: str, folder: str, store: str = "rocksdb") -> streams.App:
    app = streams.App(name, data_dir=folder, store=store, commit_interval_ms=1)
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=3)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    numbers.stream().group_by_key().count(name="counts").emit("update").to_stream().to(out)
    return app


async def send(app: streams.App, start: int, stop: int) -> None:
    async with app.client() as client:
        await client.send_many("numbers", [(f"k{n % 17}", n) for n in range(start, stop)])


async def counts(app: streams.App) -> dict[str, list[int]]:
    """What was written of each key, in order."""
    found: dict[str, list[int]] = {}
    async with app.client() as client:
        async for record in client.read("out"):
            found.setdefault(record.key, []).append(record.value)
    return found


def expected(total: int) -> dict[str, list[int]]:
    return {f"k{k}": list(range(1, len(range(k, total, 17)) + 1)) for k in range(17)}


class ByHand:
    """A worker's assembly. `told` is what it said of restores."""

    def __init__(self, app: streams.App, assembly: Assembly) -> None:
        self.app = app
        self.assembly = assembly
        self.told: list[Restoring] = []
        self.loop = Loop(assembly, asyncio.Event(), until_end=False, progress=lambda records, rate: None)

    async def work(self) -> None:
        """To the end of what is there, committed."""
        while await self.loop.round():
            pass
        await self.loop.commit()
        while await self.loop.round():
            pass

    async def arrive(self, *names: str) -> None:
        """Until these are open."""
        self.assembly.work.arrivals.begin(names)
        await self.arrived()

    async def arrived(self) -> None:
        while self.assembly.work.coming:
            await asyncio.wait_for(self.assembly.woken.wait(), 30)
            self.assembly.woken.clear()
            self.assembly.work.open_ready()
