"""Workers that run in the event loop of a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import streams
from streams.runtime.assembly import Assembly
from streams.runtime.membership import Membership
from streams.runtime.observer import Silent, Stopped
from streams.runtime.worker import Worker


class Running:
    """A worker at work in this event loop."""

    def __init__(self, app: streams.App, **options: Any) -> None:
        self.app = app
        self.worker = Worker(app, Silent(), **options)
        self.ended: asyncio.Future[Stopped] = asyncio.ensure_future(self.worker.run())

    @property
    def assembly(self) -> Assembly:
        assert self.worker.assembly is not None
        return self.worker.assembly

    @property
    def membership(self) -> Membership:
        assert self.assembly.membership is not None
        return self.assembly.membership

    @property
    def tasks(self) -> set[str]:
        return set() if self.worker.assembly is None else {task.id for task in self.assembly.tasks}

    async def stop(self) -> Stopped:
        self.worker.stop()
        return await asyncio.wait_for(self.ended, 30)

    async def crash(self) -> None:
        """As by kill -9, as far as that goes within a process: nothing is committed, nobody is told."""
        self.membership.stays = True
        self.ended.cancel()
        await asyncio.gather(self.ended, return_exceptions=True)


async def until(condition: Callable[[], bool], *running: Running) -> None:
    """Until it is so; raises what ended a worker."""
    async with asyncio.timeout(30):
        while not condition():
            for one in running:
                if one.ended.done():
                    one.ended.result()
            await asyncio.sleep(0.01)
