"""Stores of tasks that others work on, kept near the end of their changelogs.

They are fed as in a restore, and checkpointed with what they are fed; only the end moves. A table that its own topic
serves is followed as far as the group has committed: what lies behind that is still to be processed.

What reads takes a bounded share of the time, so that those tasks that this worker works on go on as before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from state.restore import LOAD_RECORDS, Restorer
from streams.runtime.restore import Changelog, Restore
from streams.runtime.steps import reach
from streams.runtime.task import Task
from streams.runtime.whereabouts import Whereabouts
from streams.transport.contract import Fetched, TopicPartition, Transport

SHARE = 0.2
"""Of the time that this may take while tasks have something to do."""
SAVE_S = 15.0
"""What was read is made to last after so long: a crash costs reading that again."""
LIMIT_S = 1.0
"""How often it is asked up to where a topic is committed that serves a table."""
_FETCH_BYTES = 4 << 20


class Copy(NamedTuple):
    """A task, where the changelog of each of its stores is, and who may write to them: one at a time."""

    task: Task
    changelogs: Mapping[str, Changelog]
    lock: asyncio.Lock

    def limited(self, store: str) -> bool:
        """Whether a store is read only as far as the group has committed."""
        return self.changelogs[store].end is not None


class Copies:
    """`by_task` are those that are kept up; who takes one out has it made to last. `is_busy` says whether this worker
    has other things to do.
    """

    def __init__(self, whereabouts: Whereabouts, transport: Transport, is_busy: Callable[[], bool]) -> None:
        self._whereabouts, self._transport = whereabouts, transport
        self._is_busy = is_busy
        self._reading = Restore(transport, lambda event: None, self._pause)
        self.by_task: dict[str, Copy] = {}
        self._unsaved: set[str] = set()
        self._saved_s = self._limits_s = time.monotonic()

    @property
    def records(self) -> int:
        """How many records of changelogs were read."""
        return self._reading.records

    def lags(self) -> dict[str, int]:
        """How many records each lacks."""
        return {name: self.lag(name) for name in self.by_task}

    def lag(self, name: str) -> int:
        """How many records that of a task lacks."""
        restorers = self._reading.restorers(self.by_task[name].task)
        return sum(max(0, restorer.end - restorer.position) for restorer in restorers)

    def read_from(self, tp: TopicPartition) -> set[str]:
        """The tasks with a store whose changelog is in this partition."""
        return {
            name for name, one in self.by_task.items() if tp in (changelog.tp for changelog in one.changelogs.values())
        }

    async def begin(self, tasks: Sequence[Task]) -> None:
        """Looks how far the stores of these are; from here on they are kept up."""
        changelogs = self._whereabouts.changelogs(tasks, await self._whereabouts.starts(tasks))
        await self._reading.begin(tasks, changelogs)
        for task in tasks:
            own = {store: changelog for (of, store), changelog in changelogs.items() if of is task}
            self.by_task[task.id] = Copy(task, own, asyncio.Lock())

    async def made_to_last(self, copy: Copy) -> None:
        """All that was read of one that was taken out."""
        async with copy.lock:
            await self._reading.drop(copy.task)

    async def close(self) -> None:
        """Keeps nothing up any more. The stores stay open."""
        while self.by_task:
            task = self.by_task.popitem()[1].task
            await self._reading.drop(task)
            await task.close()

    async def read(self) -> bool:
        """Reads what there is of the changelogs, as far as one fetch goes; whether there is more.

        Raises OffsetOutOfRangeError for a changelog that begins later than a store is, TransportError.
        """
        await self._move_limits()
        positions = {tp: min(restorer.position for restorer in group) for tp, group in self._readers().items()}
        if not positions:
            return False
        found = await self._transport.fetch(positions, max_bytes=_FETCH_BYTES)
        for part in found:
            await self._take(part)
        return any(part.next_offset < part.last_stable_offset for part in found)

    def _readers(self) -> dict[TopicPartition, list[Restorer]]:
        """The stores that read each changelog, but for those that have all that they may have."""
        found: dict[TopicPartition, list[Restorer]] = {}
        for copy in self.by_task.values():
            for restorer in self._reading.restorers(copy.task):
                if not (copy.limited(restorer.store) and restorer.reached):
                    found.setdefault(copy.changelogs[restorer.store].tp, []).append(restorer)
        return found

    async def _take(self, part: Fetched) -> None:
        reach("standby: follow")
        for name, copy in self.by_task.items():
            for restorer in self._reading.restorers(copy.task):
                if copy.changelogs[restorer.store].tp == part.tp:
                    self._unsaved.add(name)
                    if not copy.limited(restorer.store):
                        restorer.end = max(restorer.end, part.high_watermark)
        await self._reading.feed(part, self._readers().get(part.tp, []))

    async def _move_limits(self) -> None:
        """Asks up to where those topics are committed that serve tables."""
        now_s = time.monotonic()
        limited = [copy for copy in self.by_task.values() if any(map(copy.limited, copy.changelogs))]
        if not limited or now_s - self._limits_s < LIMIT_S:
            return
        self._limits_s = now_s
        starts = await self._whereabouts.starts([copy.task for copy in limited])
        for copy in limited:
            for restorer in self._reading.restorers(copy.task):
                if copy.limited(restorer.store):
                    restorer.end = max(restorer.end, starts[copy.changelogs[restorer.store].tp].offset)

    async def save(self) -> None:
        """Makes what was read last, now and then. While there is much to read, what fills a buffer lasts anyway."""
        if time.monotonic() - self._saved_s < SAVE_S:
            return
        reach("standby: save")
        self._saved_s = time.monotonic()
        for name in [name for name in self._unsaved & self.by_task.keys() if self.lag(name) < LOAD_RECORDS]:
            self._unsaved.discard(name)
            if (copy := self.by_task.get(name)) is not None:
                async with copy.lock:
                    for restorer in self._reading.restorers(copy.task):
                        for _ in restorer.save():
                            await asyncio.sleep(0)

    async def _pause(self, spent_s: float) -> None:
        await asyncio.sleep(spent_s * (1 / SHARE - 1) if self._is_busy() else 0)
