"""Restoring the stores of tasks from their changelogs, several at once, without holding up the event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from broker_embedded.records import BatchHeader
from state.restore import GATHER_BYTES, RestoreEvent, Restorer
from streams.runtime.observer import Restoring
from streams.runtime.rereading import Rereading, as_stored, rereading
from streams.runtime.steps import reach
from streams.runtime.task import Task
from streams.runtime.undone import undone
from streams.transport.committed import read_committed
from streams.transport.contract import Fetched, TopicPartition, Transport

BEHIND_S = 2.0
"""So long a store may be behind with writing to disk; then it is fed all the same, and says what is wrong with it."""

WORKED_S = 0.000_2
"""A step of less has only looked whether something is on the disk by now."""

TOGETHER_RECORDS = 8_000
"""So many records are taken at one go, which is a few milliseconds."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Changelog:
    """Where a store of a task is restored from; `end` limits a source topic to what was committed."""

    tp: TopicPartition
    topic_id: str
    end: int | None = None


async def _breathe(spent_s: float) -> None:
    """Lets the event loop run."""
    await asyncio.sleep(0)


class Restore:
    """Brings the stores of tasks to the end of their changelogs. `records` counts what had to be read. After each piece
    of work it awaits `pause`, which is told how many seconds it took. What is read of all stores is gathered in about
    `gather_bytes` of memory.
    """

    def __init__(
        self,
        transport: Transport,
        tell: Callable[[Restoring], None],
        pause: Callable[[float], Awaitable[None]] = _breathe,
        *,
        gather_bytes: int = 4 * GATHER_BYTES,
    ) -> None:
        self._transport = transport
        self._tell = tell
        self._pause = pause
        self._gather_bytes = gather_bytes
        self._under_way: dict[Task, list[Restorer]] = {}
        self._active: set[Restorer] = set()
        self._begun: dict[tuple[str, str], RestoreEvent] = {}
        self._readers: dict[TopicPartition, Rereading | None] = {}
        self.records = 0

    async def run(
        self, tasks: Sequence[Task], changelogs: Mapping[tuple[Task, str], Changelog]
    ) -> AsyncGenerator[list[Task], None]:
        """Restores what is behind; a store that is whole is left alone. Gives the tasks as they are ready; several may
        run at once.

        The end is the high watermark: whoever had a task before may have ended its last transaction so lately that the
        marker is not everywhere yet. Nothing behind that is read as committed before it is decided.
        """
        await self.begin(tasks, changelogs)
        if ready := await self._finish_those_at_the_end(tasks):
            yield ready
        while behind := self._behind(tasks, changelogs):
            await self._read(behind)
            if ready := await self._finish_those_at_the_end(tasks):
                yield ready

    async def begin(self, tasks: Sequence[Task], changelogs: Mapping[tuple[Task, str], Changelog]) -> None:
        """Looks how far the stores of tasks are. One that cannot go on from there is emptied."""
        reach("restore: look at checkpoints")
        self._under_way.update({task: [] for task in tasks})
        tps = [changelog.tp for changelog in changelogs.values()]
        starts, ends = await self._transport.earliest(tps), await self._transport.latest(tps, "read_uncommitted")
        lost = await undone(self._transport, _changes(changelogs), starts, ends)
        for (task, store), changelog in changelogs.items():
            if task in self._under_way:
                self._begin(task, store, changelog, lost, starts[changelog.tp], ends[changelog.tp], len(changelogs))

    def restorers(self, task: Task) -> list[Restorer]:
        """Of a task that was begun and neither finished nor dropped."""
        return self._under_way.get(task, [])

    async def drop(self, task: Task) -> None:
        """The task is not to be restored any more. What was read of its stores is made to last."""
        restorers = self._under_way.pop(task, [])
        self._active.difference_update(restorers)
        for restorer in restorers:
            for _ in restorer.save():
                await asyncio.sleep(0)

    def _begin(
        self,
        task: Task,
        store: str,
        changelog: Changelog,
        lost: set[tuple[TopicPartition, int]],
        log_start: int,
        log_end: int,
        stores: int,
    ) -> None:
        restorer = Restorer(
            task.stores,
            store,
            topic_id=changelog.topic_id,
            log_start=log_start,
            # A store ahead of its group is as wrong as one ahead of its log: both have lost what made it so.
            log_end=log_end if changelog.end is None else min(changelog.end, log_end),
            undone=any((changelog.tp, offset) in lost for offset in _reached(task, store)),
            gather_bytes=self._gather_bytes // max(1, stores),
            task=task.id,
            listener=lambda event: self._event(event, task.partition),
        )
        self._under_way[task].append(restorer)
        self._active.add(restorer)
        if changelog.end is not None:
            self._readers[changelog.tp] = rereading(task, changelog.tp.topic)

    def _behind(
        self, tasks: Sequence[Task], changelogs: Mapping[tuple[Task, str], Changelog]
    ) -> dict[TopicPartition, list[Restorer]]:
        """What is still to be read for these tasks, by changelog."""
        found: dict[TopicPartition, list[Restorer]] = {}
        for task in tasks:
            for restorer in self._under_way.get(task, ()):
                if not restorer.reached:
                    found.setdefault(changelogs[task, restorer.store].tp, []).append(restorer)
        return found

    async def _read(self, behind: dict[TopicPartition, list[Restorer]]) -> None:
        reach("restore: read changelog")
        positions = {tp: min(restorer.position for restorer in group) for tp, group in behind.items()}
        for part in await self._transport.fetch(positions, wait_ms=1_000):
            await self.feed(part, behind[part.tp])

    async def feed(self, fetched: Fetched, restorers: list[Restorer]) -> None:
        """Puts what a fetch brought of one changelog into stores, each as far as it is to go."""
        reach("restore: write store")
        reader = self._readers.get(fetched.tp)
        for next_offset, batches in _several(read_committed(fetched)):
            for restorer in restorers:
                await self._until_it_takes_more(restorer)
            began_s = time.perf_counter()
            restorers = [restorer for restorer in restorers if restorer in self._active]
            offsets, keys, values, times = as_stored(batches) if reader is None else reader.rows(batches)
            for restorer in restorers:
                # What was committed of a source topic may end in the middle of a batch.
                start, stop = np.searchsorted(offsets, (restorer.position, restorer.end)).tolist()
                position = max(restorer.position, min(next_offset, restorer.end))
                restorer.feed(position, keys[start:stop], values[start:stop], times[start:stop])  # type: ignore[arg-type]
            self.records += len(keys)
            await self._pause(time.perf_counter() - began_s)
        for restorer in self._active.intersection(restorers):
            restorer.skip(min(fetched.next_offset, restorer.end))

    async def _until_it_takes_more(self, restorer: Restorer) -> None:
        """A store that is behind with its own work would hold up the whole process: heartbeats, and tasks at work."""
        until_s = time.monotonic() + BEHIND_S
        while restorer in self._active and restorer.busy and time.monotonic() < until_s:
            await asyncio.sleep(0.005)

    async def _finish_those_at_the_end(self, tasks: Sequence[Task]) -> list[Task]:
        found = {task: self._under_way[task] for task in tasks if task in self._under_way}
        reached = [task for task, restorers in found.items() if all(restorer.reached for restorer in restorers)]
        # Side by side, as most of it is waiting for the disk.
        await asyncio.gather(*(self._finish(found[task]) for task in reached))
        ready = [task for task in reached if task in self._under_way]
        for task in ready:
            self._active.difference_update(self._under_way.pop(task))
        return ready

    async def _finish(self, restorers: list[Restorer]) -> None:
        for restorer in restorers:
            if restorer.restored_records or restorer.reason:
                began_s = time.perf_counter()
                for _ in restorer.finish():
                    waits = time.perf_counter() - began_s < WORKED_S
                    await asyncio.sleep(WORKED_S if waits else 0)
                    if restorer not in self._active:
                        return
                    began_s = time.perf_counter()
            reach("restore: done")

    def _event(self, event: RestoreEvent, partition: int) -> None:
        """Tells of a store only once there is a record for it: a log may end with what holds none."""
        begun = self._begun.pop((event.task, event.store), None)
        if event.state == "started" and event.reason is None:
            self._begun[event.task, event.store] = event
            return
        if event.state == "progress" and event.restored_records == 0:
            self._begun[event.task, event.store] = begun or event
            return
        if event.reason is not None:
            log.warning("task %s: store %s is built anew from its changelog: %s", event.task, event.store, event.reason)
        for one in (begun, event):
            if one is not None:
                self._show(one, partition)

    def _show(self, event: RestoreEvent, partition: int) -> None:
        self._tell(
            Restoring(
                event.store,
                partition,
                event.restored_records,
                max(0, event.end - event.position) + event.restored_records,
                event.state == "done",
                event.reason,
            )
        )


def _several(read: Iterator[tuple[BatchHeader, memoryview]]) -> Iterator[tuple[int, list[memoryview]]]:
    """Batches of a few thousand records together, as one costs little less than several, each time with the offset
    behind them.
    """
    count, next_offset = 0, 0
    batches: list[memoryview] = []
    for header, data in read:
        if batches and count + header.count > TOGETHER_RECORDS:
            yield next_offset, batches
            count, batches = 0, []
        next_offset = header.next_offset
        count += header.count
        batches.append(data)
    if batches:
        yield next_offset, batches


def _changes(changelogs: Mapping[tuple[Task, str], Changelog]) -> Iterator[tuple[TopicPartition, int]]:
    """Where the last changes that stores have of their own changelogs end."""
    for (task, store), changelog in changelogs.items():
        if changelog.end is None:
            yield from ((changelog.tp, offset) for offset in _reached(task, store))


def _reached(task: Task, store: str) -> list[int]:
    """The offset up to which a store has its changelog, and the one up to which it may have, if a commit was cut."""
    stores = task.stores
    return [found[store].offset for found in (stores.checkpoints(), stores.in_progress()) if store in found]
