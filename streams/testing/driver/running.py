"""One life of the app under test: from a start to a stop or a crash, over a log that outlives it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from streams.app import App
from streams.runtime.assembling import assemble
from streams.runtime.assembly import Assembly
from streams.runtime.background import Background
from streams.runtime.conditions import Conditions
from streams.runtime.loop import Loop
from streams.runtime.observer import Restoring
from streams.testing.driver.clock import Clock
from streams.testing.driver.log import MemoryLog
from streams.testing.driver.virtual_loop import StuckError, VirtualLoop, in_ms

log = logging.getLogger(__name__)

COMMITS_MAX = 10_000
"""Commits of one pipe. What needs more feeds itself, and nothing ends it."""


class Running:
    """The tasks of an app, as a worker runs them: its assembly and the rounds of its loop, without its waiting."""

    def __init__(self, assembly: Assembly, background: Background, loop: VirtualLoop, clock: Clock) -> None:
        self.assembly = assembly
        self._rounds = Loop(assembly, asyncio.Event(), until_end=False, progress=lambda records, rate: None)
        self._background = background
        self._loop = loop
        self._clock = clock

    @classmethod
    async def start(
        cls, app: App, log: MemoryLog, conditions: Conditions, loop: VirtualLoop, clock: Clock,
        tell: Callable[[Restoring], None],
    ) -> Running:  # fmt: skip
        """Restores the stores, starts timers and tasks, and processes what waits."""
        assembly = await assemble(app, log, conditions)
        background = Background(app, conditions.now_ms)
        try:
            await assembly.open(tell)
            await background.__aenter__()
        except BaseException:
            await assembly.close()
            raise
        return cls(assembly, background, loop, clock)

    async def settle(self, *, commit: bool = True) -> None:
        """Processes all there is, to the end; commits until a commit brings nothing new. What is being collected by
        time is left to its time. Raises StuckError when that takes COMMITS_MAX commits.
        """
        for _ in range(COMMITS_MAX):
            await self._loop.quiet()
            while await self._rounds.round() or self._rounds.waits:
                if self._rounds.waits:
                    await self._rounds.go_on()
            self._raise_failure()
            if not commit or self.assembly.collecting_s() > 0:
                return
            done = not self.assembly.commit.has_news()
            await self._rounds.commit()
            if done:
                return
        raise StuckError(
            f"{COMMITS_MAX:,} commits, and each has brought new records: a topic feeds itself by way of the app, and "
            "no step on the way lets the records end. Look for .to(topic) behind a stream of the same topic."
        )

    def _raise_failure(self) -> None:
        if self._background.failed.done():
            raise self._background.failed.result()

    async def commit(self) -> None:
        """Commits now, whatever is being collected, and processes what comes of it."""
        await self._rounds.commit()
        await self.settle()

    async def until(self, answer: asyncio.Future[Any]) -> None:
        """Processes, and lets the clock go on to what is due, until there is an answer."""
        await self.settle()
        while not answer.done():
            due_ms = await self._next_due()
            if due_ms is not None:
                self._clock.now_ms = max(self._clock.now_ms, due_ms)
            await self.settle()

    async def move_to(self, at_ms: int) -> None:
        """Lets the clock go on, with a stop wherever a timer is due or the time to collect is over."""
        while (due_ms := await self._next_due()) is not None and due_ms <= at_ms:
            self._clock.now_ms = max(self._clock.now_ms, due_ms)
            await self.settle()
        self._clock.now_ms = max(self._clock.now_ms, at_ms)
        await self.settle()

    async def _next_due(self) -> int | None:
        """When something falls due that waits for time alone."""
        waits = [await self._loop.quiet(), self.assembly.collecting_s() or None]
        return min((self._clock.now_ms + in_ms(s) for s in waits if s is not None), default=None)

    async def stop(self) -> None:
        """Commits and ends."""
        try:
            await self.commit()
        finally:
            errors = await self.end()
        if errors:
            raise errors[0]

    async def end(self) -> list[Exception]:
        """Ends without a commit, as a kill does: what was not committed is lost."""
        await self._background.__aexit__(None, None, None)
        await self._rounds.drop_turns()
        return await self.assembly.close()
