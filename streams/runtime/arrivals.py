"""Tasks and sources on their way in: made, restored beside whatever else the worker does, then ready to be opened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, NamedTuple

from streams.runtime.ingest import Ingest
from streams.runtime.parts import Parts, is_source
from streams.runtime.restore import Restore
from streams.runtime.steps import reach
from streams.runtime.task import Task
from streams.runtime.whereabouts import Whereabouts
from streams.transport.contract import Transport


class Ready(NamedTuple):
    """A task whose stores are whole, or a source whose position is known; `open` lets it go on where it was."""

    name: str
    made: Task | Ingest
    open: Callable[[], None]


GiveStandby = Callable[[str, Callable[[], bool]], Awaitable[Task | None]]
"""Gives a task that is followed here, with its stores near the end, if it is still asked for then; else None."""


class Arrivals:
    """Makes and restores what is asked for, or takes over a standby of it; calls `wake` when some of it is ready, or
    cannot be made.
    """

    def __init__(
        self,
        parts: Parts,
        whereabouts: Whereabouts,
        transport: Transport,
        restore: Restore,
        standby: GiveStandby,
        wake: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._whereabouts = whereabouts
        self._transport = transport
        self._restore = restore
        self._wake = wake
        self._standby = standby
        self.under_way: dict[str, Task | Ingest | None] = {}
        """What was asked for and not taken, by name; None before it is made."""
        self._ready: list[Ready] = []
        self._jobs: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    def begin(self, names: Iterable[str]) -> None:
        """Sets out to make these."""
        coming = list(names)
        self.under_way.update(dict.fromkeys(coming))
        for name in filter(is_source, coming):
            self._start(self._bring_source(name))
        if tasks := [name for name in coming if not is_source(name)]:
            self._start(self._bring_tasks(tasks))

    @property
    def due(self) -> bool:
        """Whether `take` has something to say."""
        return bool(self._ready) or self._failure is not None

    def take(self) -> list[Ready]:
        """What is ready now. Raises what went wrong on the way."""
        if self._failure is not None:
            raise self._failure
        ready, self._ready = self._ready, []
        for one in ready:
            del self.under_way[one.name]
        return ready

    async def drop(self, names: Iterable[str]) -> None:
        """These are not wanted any more. What was read of their stores is kept for the next one who works on them."""
        for name in names:
            made = self.under_way.pop(name, None)
            self._ready = [one for one in self._ready if one.made is not made]
            if isinstance(made, Task):
                await self._restore.drop(made)
            if made is not None:
                await made.close()
                self._parts.release(name)

    async def close(self) -> None:
        """Ends what is under way. The stores stay open."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        for made in self.under_way.values():
            if isinstance(made, Task):
                await self._restore.drop(made)
            if made is not None:
                await made.close()
        self.under_way, self._ready = {}, []

    # -- within

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._ended)

    def _ended(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        if not job.cancelled() and (error := job.exception()) is not None:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Has `take` raise this."""
        self._failure = self._failure or error
        self._wake()

    async def _bring_tasks(self, names: Sequence[str]) -> None:
        async for taken in self._parts.take(names):
            self._start(self._restore_tasks(taken))

    async def _restore_tasks(self, names: Sequence[str]) -> None:
        reach("assign: make tasks")
        tasks = [task for task in await asyncio.gather(*map(self._made, names)) if task is not None]
        self._parts.let_go(names)
        starts = await self._whereabouts.starts(tasks)
        tasks = [task for task in tasks if self.under_way.get(task.id) is task]  # others were dropped meanwhile
        changelogs = self._whereabouts.changelogs(tasks, starts)
        async with aclosing(self._restore.run(tasks, changelogs)) as restored:
            async for ready in restored:
                ends = await self._transport.latest([tp for task in ready for tp in self._whereabouts.sources(task)])
                self._tell(Ready(task.id, task, partial(task.open, starts, ends)) for task in ready)

    async def _made(self, name: str) -> Task | None:
        """A task that was followed here, or a new one; None if it is not asked for any more."""
        standby = await self._standby(name, partial(self._is_to_be_made, name))
        if not self._is_to_be_made(name):
            return None
        made = self.under_way[name] = standby or self._parts.task(name)
        return made

    async def _bring_source(self, name: str) -> None:
        made = self._parts.ingest(name, self._wake)
        self.under_way[name] = made
        position, end = await self._whereabouts.position(made.source)
        self._tell([Ready(name, made, partial(made.open, position, end))])

    def _is_to_be_made(self, name: str) -> bool:
        return name in self.under_way and self.under_way[name] is None

    def _tell(self, ready: Iterable[Ready]) -> None:
        self._ready += [one for one in ready if self.under_way.get(one.name) is one.made]
        self._wake()
