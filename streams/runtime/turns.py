"""The turns of tasks. One whose agent waits (for a service, for another agent) goes on beside those of the others.

A commit is of whole turns, so before one no agent is given more; those that are at work come to the end of what they
have. Unless they wait for one another: an agent that has asked another is answered before, or the two would wait for
ever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any

from streams.runtime.task import Task

AT_ONCE = 4
"""Turns of the event loop within which a turn ends whose agent waits for nothing."""
PATIENCE_S = 1.0
"""After so long agents that nobody is known to wait for are let go on as well; each time twice as long."""


class Turns:
    """`asking` gives the ids of tasks whose agents wait for an answer."""

    def __init__(self, asking: Callable[[], Collection[str]]) -> None:
        self._asking = asking
        self._going_on: dict[Task, asyncio.Future[int]] = {}
        self._closing_s: float | None = None
        self._patience_s = PATIENCE_S
        self._have_asked: set[str] = set()

    def __contains__(self, task: Task) -> bool:
        return task in self._going_on

    def __bool__(self) -> bool:
        """Whether any go on."""
        return bool(self._going_on)

    async def take(self, task: Task) -> int:
        """A turn of a task, or what has become of the one before; 0 while it goes on."""
        before = self._going_on.get(task)
        if before is not None:
            return self._ended(task, before) if before.done() else 0
        if not task.has_agents:
            return await task.turn()
        if not task.has_work():
            return await task.turn()
        return await self._begin(task, task.turn()) if self._may_begin(task) else 0

    async def _begin(self, task: Task, work: Coroutine[Any, Any, int]) -> int:
        turn = self._going_on[task] = asyncio.ensure_future(work)
        for _ in range(AT_ONCE):
            await asyncio.sleep(0)
            if turn.done():
                return self._ended(task, turn)
        return 0

    def _ended(self, task: Task, turn: asyncio.Future[int]) -> int:
        del self._going_on[task]
        return turn.result()

    @property
    def going_on(self) -> list[asyncio.Future[int]]:
        """Those that wait."""
        return list(self._going_on.values())

    async def cancel(self) -> None:
        """Ends what goes on: nothing of it is to be committed."""
        turns = list(self._going_on.values())
        for turn in turns:
            turn.cancel()
        await asyncio.gather(*turns, return_exceptions=True)
        self._going_on.clear()

    # -- before a commit

    def close(self) -> None:
        """A commit waits: agents get no more, but for those that others wait for."""
        if self._closing_s is None:
            self._closing_s = time.monotonic()
        self._have_asked.update(self._asking())

    async def hand_over(self, tasks: Iterable[Task]) -> None:
        """Gives agents the lists that they collect, as a commit does; what they do with them is a turn as well."""
        for task in tasks:
            if task.has_agents and task not in self._going_on and task.collects():
                await self._begin(task, task.hand_over())

    def open(self) -> None:
        """The commit is done."""
        self._closing_s = None
        self._patience_s = PATIENCE_S
        self._have_asked.clear()

    def _may_begin(self, task: Task) -> bool:
        if self._closing_s is None:
            return True
        if time.monotonic() - self._closing_s > self._patience_s:
            self._closing_s, self._patience_s = time.monotonic(), 2 * self._patience_s
            self._have_asked.clear()
            return True
        return bool(self._asking()) and task.id not in self._have_asked
