"""Tasks that others work on, followed here: their stores go along with the changelogs, so that this worker can go on
with any of them at once (Kafka Streams' StandbyTask).

A standby is a task that is made and not opened. Its stores are fed as in a restore, and checkpointed with what they are
fed; only the end moves. Where it is given to this worker it is handed over as it is: what a restore reads then is what
was added since. A table that its own topic serves is followed as far as the group has committed: what lies behind that
is still to be processed.

A task that *warms up* is followed in the same way, in order to move here: once it is near the end, that is told.

What follows takes a bounded share of the time, so that those tasks that this worker works on go on as before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

from state.restore import LOAD_RECORDS, Restorer
from streams.runtime.folders import Folders
from streams.runtime.parts import Parts
from streams.runtime.restore import Changelog, Restore
from streams.runtime.steps import reach
from streams.runtime.task import Task
from streams.runtime.whereabouts import Whereabouts
from streams.transport.contract import Fetched, OffsetOutOfRangeError, TopicPartition, Transport, TransportError

log = logging.getLogger("streams.worker")

T = TypeVar("T")

SHARE = 0.2
"""Of the time that this may take while tasks have something to do."""
REST_S = 0.2
"""How long it rests at the end of what there is: a copy need not be up to date by the millisecond."""
SAVE_S = 15.0
"""What was read is made to last after so long: a crash costs reading that again."""
LIMIT_S = 1.0
"""How often it is asked up to where a topic is committed that serves a table."""
HAND_OVER_S = 60.0
"""How long another worker of this place may take to let go of a task that is to be followed: there is no hurry."""
TELL_AGAIN_S = 30.0
REPORT_S = 30.0
_FETCH_BYTES = 4 << 20
_TRY_AGAIN_S = 1.0


class _Followed(NamedTuple):
    """A task, where the changelog of each of its stores is, and who may write to them: one at a time."""

    task: Task
    changelogs: Mapping[str, Changelog]
    lock: asyncio.Lock

    def limited(self, store: str) -> bool:
        """Whether a store is read only as far as the group has committed."""
        return self.changelogs[store].end is not None


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
        self._parts, self._whereabouts, self._transport, self._folders = parts, whereabouts, transport, folders
        self._acceptable_lag = acceptable_lag
        self._warm = warm
        self._is_busy = is_busy
        self._failed = failed
        self._reading = Restore(transport, lambda event: None, self._pause)
        self._wanted: set[str] = set()
        self._warming: set[str] = set()
        self._kept: set[str] = set()
        self._followed: dict[str, _Followed] = {}
        self._waiting: set[str] = set()
        """Those whose folder somebody else may have."""
        self._changing: set[str] = set()
        """Those that are being begun or ended."""
        self._told_s: dict[str, float] = {}
        self._unsaved: set[str] = set()
        self._saved_s = self._limits_s = self._reported_s = time.monotonic()
        self._moved = asyncio.Event()
        self._more = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._jobs: set[asyncio.Task[Any]] = set()
        self._beginning: set[asyncio.Task[None]] = set()
        self._is_closing = False

    @property
    def names(self) -> tuple[str, ...]:
        """The tasks that are followed now."""
        return tuple(sorted(self._followed))

    @property
    def wanted(self) -> tuple[str, ...]:
        """The tasks that are followed, or are about to be."""
        return tuple(sorted(self._wanted))

    @property
    def records(self) -> int:
        """How many records of changelogs were read."""
        return self._reading.records

    def lags(self) -> dict[str, int]:
        """How many records each lacks."""
        return {name: self._lag(name) for name in self._followed}

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
        if name not in self._followed:
            return None
        reach("standby: give")
        log.info("task %s: its standby goes to work, %d records behind", name, self._lag(name))
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
        while self._followed:
            task = self._followed.popitem()[1].task
            await self._reading.drop(task)
            await task.close()

    # -- beginning and ending

    def _settle(self) -> None:
        """Begins and ends what is to be, but for those that are being begun or ended: they come here when they are."""
        if self._is_closing:
            return
        going = self._followed.keys() - self._wanted - self._kept - self._changing
        coming = self._wanted - self._followed.keys() - self._changing - self._waiting
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
                    await self._followed_from_here([self._parts.task(name) for name in coming])
                self._parts.let_go(taken)
        finally:
            self._waiting.difference_update(names)

    async def _followed_from_here(self, tasks: Sequence[Task]) -> None:
        changelogs = self._whereabouts.changelogs(tasks, await self._whereabouts.starts(tasks))
        await self._reading.begin(tasks, changelogs)
        for task in tasks:
            own = {store: changelog for (of, store), changelog in changelogs.items() if of is task}
            self._followed[task.id] = _Followed(task, own, asyncio.Lock())
            log.info("task %s is followed, %d records behind", task.id, self._lag(task.id))

    async def _end(self, names: Collection[str]) -> None:
        async with self._changes(names):
            for name in names:
                await self._closed(await self._taken_out(name))

    async def _taken_out(self, name: str) -> Task:
        """A task that is followed no more, all that was read of it made to last, even if nobody waits for it."""
        followed = self._followed.pop(name)
        await asyncio.shield(self._start(self._made_to_last(followed)))
        return followed.task

    async def _made_to_last(self, followed: _Followed) -> None:
        async with followed.lock:
            await self._reading.drop(followed.task)

    async def _closed(self, task: Task) -> None:
        await task.close()
        self._parts.release(task.id)

    # -- following

    async def _follow(self) -> None:
        while self._wanted or self._followed:
            self._more.clear()
            there_is_more = False
            try:
                await self._move_limits()
                there_is_more = await self._read()
            except OffsetOutOfRangeError as error:
                self._look_again(error)
            except TransportError as error:
                log.warning("standbys wait a little: %s", error)
                await asyncio.sleep(_TRY_AGAIN_S)
            await self._save()
            self._tell_warm()
            self._report()
            self._folders.note()
            await (asyncio.sleep(0) if there_is_more else self._rest())

    async def _read(self) -> bool:
        """Reads what there is of the changelogs, as far as one fetch goes; whether there is more."""
        positions = {tp: min(restorer.position for restorer in group) for tp, group in self._readers().items()}
        if not positions:
            return False
        found = await self._transport.fetch(positions, max_bytes=_FETCH_BYTES)
        for part in found:
            await self._take(part)
        return any(part.next_offset < part.last_stable_offset for part in found)

    async def _rest(self) -> None:
        """Lets some more come, unless others are to be followed: it is read in one go, and cheaply."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._more.wait(), REST_S)

    def _readers(self) -> dict[TopicPartition, list[Restorer]]:
        """The stores that read each changelog, but for those that have all that they may have."""
        found: dict[TopicPartition, list[Restorer]] = {}
        for followed in self._followed.values():
            for restorer in self._reading.restorers(followed.task):
                if not (followed.limited(restorer.store) and restorer.reached):
                    found.setdefault(followed.changelogs[restorer.store].tp, []).append(restorer)
        return found

    async def _take(self, part: Fetched) -> None:
        reach("standby: follow")
        for name, followed in self._followed.items():
            for restorer in self._reading.restorers(followed.task):
                if followed.changelogs[restorer.store].tp == part.tp:
                    self._unsaved.add(name)
                    if not followed.limited(restorer.store):
                        restorer.end = max(restorer.end, part.high_watermark)
        await self._reading.feed(part, self._readers().get(part.tp, []))

    async def _move_limits(self) -> None:
        """Asks up to where those topics are committed that serve tables."""
        now_s = time.monotonic()
        limited = [one for one in self._followed.values() if any(map(one.limited, one.changelogs))]
        if not limited or now_s - self._limits_s < LIMIT_S:
            return
        self._limits_s = now_s
        starts = await self._whereabouts.starts([one.task for one in limited])
        for one in limited:
            for restorer in self._reading.restorers(one.task):
                if one.limited(restorer.store):
                    restorer.end = max(restorer.end, starts[one.changelogs[restorer.store].tp].offset)

    async def _save(self) -> None:
        """Makes what was read last, now and then. While there is much to read, what fills a buffer lasts anyway."""
        if time.monotonic() - self._saved_s < SAVE_S:
            return
        reach("standby: save")
        self._saved_s = time.monotonic()
        for name in [name for name in self._unsaved & self._followed.keys() if self._lag(name) < LOAD_RECORDS]:
            self._unsaved.discard(name)
            if (followed := self._followed.get(name)) is not None:
                async with followed.lock:
                    for restorer in self._reading.restorers(followed.task):
                        for _ in restorer.save():
                            await asyncio.sleep(0)

    def _look_again(self, error: OffsetOutOfRangeError) -> None:
        """The log begins later than a store is, or was made anew: those that read it begin once more."""
        names = {
            name
            for name, one in self._followed.items()
            if name not in self._changing and error.tp in (changelog.tp for changelog in one.changelogs.values())
        }
        log.warning("%s: followed from where the log is now: %s", ", ".join(sorted(names)), error)
        self._changing |= names
        self._start(self._end(names))

    async def _pause(self, spent_s: float) -> None:
        await asyncio.sleep(spent_s * (1 / SHARE - 1) if self._is_busy() else 0)

    # -- telling

    def _lag(self, name: str) -> int:
        return self._lag_of(self._followed[name])

    def _lag_of(self, followed: _Followed) -> int:
        restorers = self._reading.restorers(followed.task)
        return sum(max(0, restorer.end - restorer.position) for restorer in restorers)

    def _report(self) -> None:
        """A line now and then, while something is behind."""
        lags = self.lags()
        if any(lags.values()) and time.monotonic() - self._reported_s >= REPORT_S:
            self._reported_s = time.monotonic()
            log.info("%d tasks are followed, %d records behind, %d read", len(lags), sum(lags.values()), self.records)

    def _tell_warm(self) -> None:
        """Tells of those that may move here; again after a while, if they have not moved."""
        now_s = time.monotonic()
        for name in self._warming & self._followed.keys():
            told_s = self._told_s.get(name)
            if self._lag(name) <= self._acceptable_lag and (told_s is None or now_s - told_s >= TELL_AGAIN_S):
                self._told_s[name] = now_s
                log.info("task %s is warm: it lacks %d records", name, self._lag(name))
                self._warm(name)
