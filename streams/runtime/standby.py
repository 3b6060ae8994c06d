"""Tasks that others work on, followed here: their stores go along with the changelogs, so that this worker can go on
with any of them at once (Kafka Streams' StandbyTask).

A standby is a task that is made and not opened; its stores are copies (`copies.py`) that go along. Where it is given to
this worker it is handed over as it is: what a restore reads then is what was added since.

A task that *warms up* is followed in the same way, in order to move here: once it is near the end, that is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from streams.runtime.copies import Copies
from streams.runtime.folders import Folders
from streams.runtime.parts import Parts
from streams.runtime.steps import reach
from streams.runtime.task import Task
from streams.runtime.whereabouts import Whereabouts
from streams.transport.contract import OffsetOutOfRangeError, Transport, TransportError

log = logging.getLogger("streams.worker")

T = TypeVar("T")

REST_S = 0.2
"""How long it rests at the end of what there is: a copy need not be up to date by the millisecond."""
HAND_OVER_S = 60.0
"""How long another worker of this place may take to let go of a task that is to be followed: there is no hurry."""
TELL_AGAIN_S = 30.0
"""How long after it was told that a task is warm, and it has not moved here, that is told again."""
REPORT_S = 30.0
"""How often the log says how far behind they are."""
_TRY_AGAIN_S = 1.0


class Standbys:
    """Follows the tasks that it is told to.

    `acceptable_lag` is how many records a task that warms up may lack; `warm` is told of one that lacks no more, while
    it stays one. `is_busy` says whether this worker has other things to do, `failed` is told what went wrong.
    """

    def __init__(
        self,
        parts: Parts,
        whereabouts: Whereabouts,
        transport: Transport,
        folders: Folders,
        *,
        acceptable_lag: int,
        warm: Callable[[str], None],
        is_busy: Callable[[], bool],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._parts, self._folders = parts, folders
        self._acceptable_lag = acceptable_lag
        self._warm = warm
        self._failed = failed
        self._copies = Copies(whereabouts, transport, is_busy)
        self._wanted: set[str] = set()
        self._warming: set[str] = set()
        self._kept: set[str] = set()
        self._waiting: set[str] = set()
        """Those whose folder somebody else may have."""
        self._changing: set[str] = set()
        """Those that are being begun or ended."""
        self._told_s: dict[str, float] = {}
        self._reported_s = time.monotonic()
        self._moved = asyncio.Event()
        self._more = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._jobs: set[asyncio.Task[Any]] = set()
        self._beginning: set[asyncio.Task[None]] = set()
        self._is_closing = False

    @property
    def names(self) -> tuple[str, ...]:
        """The tasks that are followed now."""
        return tuple(sorted(self._copies.by_task))

    @property
    def wanted(self) -> tuple[str, ...]:
        """The tasks that are followed, or are about to be."""
        return tuple(sorted(self._wanted))

    @property
    def records(self) -> int:
        """How many records of changelogs were read."""
        return self._copies.records

    def lags(self) -> dict[str, int]:
        """How many records each lacks."""
        return self._copies.lags()

    def want(self, standby: Iterable[str], warm_up: Iterable[str] = (), keep: Collection[str] = ()) -> None:
        """These are to be followed from now on, and no others; those that are to `keep` wait for `give`."""
        self._warming = set(warm_up)
        self._wanted = {*standby, *self._warming} & self._parts.tasks.keys()
        self._kept = set(keep)
        self._settle()

    async def give(self, name: str, expected: Callable[[], bool]) -> Task | None:
        """Hands a task over to whoever works on it from now on, if he still does when it is ready; None if it is not
        followed. It is not wanted any more then, until `want` says so again.
        """
        while name in self._changing:
            await self._moved.wait()
        if not expected():
            return None
        self._wanted.discard(name)
        if name not in self._copies.by_task:
            return None
        reach("standby: give")
        log.info("task %s: its standby goes to work, %d records behind", name, self._copies.lag(name))
        async with self._changes([name]):
            task = await self._taken_out(name)
            if expected():
                return task
            await self._closed(task)
        return None

    async def close(self) -> None:
        """Follows nothing any more. The stores stay open."""
        self._is_closing = True
        for job in [*self._beginning, *([] if self._following is None else [self._following])]:
            job.cancel()
        while self._jobs:  # what is being made to last is not cut short
            await asyncio.gather(*self._jobs, return_exceptions=True)
        await self._copies.close()

    # -- beginning and ending

    def _settle(self) -> None:
        """Begins and ends what is to be, but for those that are being begun or ended: they come here when they are."""
        if self._is_closing:
            return
        going = self._copies.by_task.keys() - self._wanted - self._kept - self._changing
        coming = self._wanted - self._copies.by_task.keys() - self._changing - self._waiting
        if going:
            self._changing |= going
            self._start(self._end(going))
        if coming:
            self._waiting |= coming
            job = self._start(self._begin(sorted(coming)))
            self._beginning.add(job)
            job.add_done_callback(self._beginning.discard)
        if self._wanted and (self._following is None or self._following.done()):
            self._following = self._start(self._follow())

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        job = asyncio.create_task(work, name="standbys")
        self._jobs.add(job)
        job.add_done_callback(self._ended)
        return job

    def _ended(self, job: asyncio.Task[Any]) -> None:
        self._jobs.discard(job)
        if not job.cancelled() and (error := job.exception()) is not None:
            self._failed(error)

    @asynccontextmanager
    async def _changes(self, names: Collection[str]) -> AsyncIterator[None]:
        """Until its end these are being begun or ended. Nothing is awaited at the end: who is given one has it before
        anybody else can want it.
        """
        self._changing.update(names)
        try:
            yield
        finally:
            self._changing.difference_update(names)
            self._moved.set()
            self._moved.clear()
        self._more.set()
        self._settle()

    async def _begin(self, names: list[str]) -> None:
        """Takes the folders, which others of this place may have, and looks how far they are. What is not to be
        followed any more by then is let go.
        """
        try:
            async for taken in self._parts.take(names, HAND_OVER_S):
                self._waiting.difference_update(taken)
                coming = [name for name in taken if name in self._wanted]
                async with self._changes(coming):
                    await self._copied_from_here([self._parts.task(name) for name in coming])
                self._parts.let_go(taken)
        finally:
            self._waiting.difference_update(names)

    async def _copied_from_here(self, tasks: Sequence[Task]) -> None:
        await self._copies.begin(tasks)
        for task in tasks:
            log.info("task %s is followed, %d records behind", task.id, self._copies.lag(task.id))

    async def _end(self, names: Collection[str]) -> None:
        async with self._changes(names):
            for name in names:
                await self._closed(await self._taken_out(name))

    async def _taken_out(self, name: str) -> Task:
        """A task that is followed no more, all that was read of it made to last, even if nobody waits for it."""
        copy = self._copies.by_task.pop(name)
        await asyncio.shield(self._start(self._copies.made_to_last(copy)))
        return copy.task

    async def _closed(self, task: Task) -> None:
        await task.close()
        self._parts.release(task.id)

    # -- following

    async def _follow(self) -> None:
        while self._wanted or self._copies.by_task:
            self._more.clear()
            there_is_more = False
            try:
                there_is_more = await self._copies.read()
            except OffsetOutOfRangeError as error:
                self._look_again(error)
            except TransportError as error:
                log.warning("standbys wait a little: %s", error)
                await asyncio.sleep(_TRY_AGAIN_S)
            await self._copies.save()
            self._tell_warm()
            self._report()
            self._folders.note()
            await (asyncio.sleep(0) if there_is_more else self._rest())

    async def _rest(self) -> None:
        """Lets some more come, unless others are to be followed: it is read in one go, and cheaply."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._more.wait(), REST_S)

    def _look_again(self, error: OffsetOutOfRangeError) -> None:
        """The log begins later than a store is, or was made anew: those that read it begin once more."""
        names = self._copies.read_from(error.tp) - self._changing
        log.warning("%s: followed from where the log is now: %s", ", ".join(sorted(names)), error)
        self._changing |= names
        self._start(self._end(names))

    # -- telling

    def _report(self) -> None:
        """A line now and then, while something is behind."""
        lags = self.lags()
        if any(lags.values()) and time.monotonic() - self._reported_s >= REPORT_S:
            self._reported_s = time.monotonic()
            log.info("%d tasks are followed, %d records behind, %d read", len(lags), sum(lags.values()), self.records)

    def _tell_warm(self) -> None:
        """Tells of those that may move here; again after a while, if they have not moved."""
        now_s = time.monotonic()
        for name in self._warming & self._copies.by_task.keys():
            told_s = self._told_s.get(name)
            if self._copies.lag(name) <= self._acceptable_lag and (told_s is None or now_s - told_s >= TELL_AGAIN_S):
                self._told_s[name] = now_s
                log.info("task %s is warm: it lacks %d records", name, self._copies.lag(name))
                self._warm(name)
