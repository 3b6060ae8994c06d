"""A commit: outputs, changelogs and offsets in one transaction; then the local stores. In this order, and no other.

A crash before the transaction ends leaves everything at the commit before. A crash after it leaves the stores behind
the log, and restore reads the missing changes from the changelog. Were the stores written first, a crash between the
two would leave them ahead of the log, with changes whose input is read again: counted twice.

At least once is the same order without the transaction: a crash on the way leaves outputs and changelogs whose input is
read again, so records are repeated, never lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol

from state.api import Checkpoint
from streams.operators.outputs import Outputs
from streams.runtime.steps import reach
from streams.runtime.task import Task
from streams.transport.contract import Committed, GroupIdentity, Producer, StaleGenerationError, TopicPartition

TOGETHER_BYTES = 64 << 10
"""Batches up to so many bytes are handed over at one go, and so leave in one request for each broker. Of more,
some are on their way while others are being encoded."""


class Ingests(Protocol):
    """A source's part in a commit: its records, and the position that goes with them."""

    outputs: Outputs

    def prepare(self) -> None: ...

    def has_news(self) -> bool: ...

    def news(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]: ...

    def committed(self) -> None: ...


class Commit:
    """Commits all tasks and sources of a worker together. `tasks` and `ingests` are those that are open at the time;
    while some are `coming`, nobody is called idle.

    `identity` says as whom it commits in the group; where that is of a generation that is over, `settled` waits until
    there is a new one. The transaction stays open meanwhile.
    """

    def __init__(
        self,
        producer: Producer,
        tasks: Sequence[Task],
        ingests: Sequence[Ingests],
        extra: Outputs,
        marks: Outputs,
        *,
        transactional: bool,
        partitions: Callable[[str], int],
        changelog_of: Callable[[Task, str], tuple[TopicPartition, str] | None],
        source_checkpoint: Callable[[Task, str], tuple[TopicPartition, str] | None],
        coming: Callable[[], bool],
        identity: Callable[[], GroupIdentity],
        settled: Callable[[int], Awaitable[None]] | None,
    ) -> None:
        self._producer = producer
        self._identity = identity
        self._settled = settled
        self._tasks = tasks
        self._ingests = ingests
        self._coming = coming
        self._extra = extra
        self._marks = marks
        self._transactional = transactional
        self._partitions = partitions
        self._changelog_of = changelog_of
        self._source_checkpoint = source_checkpoint
        self._posted: list[tuple[TopicPartition, int, Awaitable[int]]] = []
        self._ends: dict[TopicPartition, int] = {}
        self._open = False
        self._held_bytes = 0
        self.count = 0

    @property
    def parts(self) -> list[Task | Ingests]:
        """Those that have records to send."""
        return [*self._tasks, *self._ingests]

    def has_news(self) -> bool:
        """Whether there is anything to commit."""
        return self._open or bool(self._extra.pending_records) or any(part.has_news() for part in self.parts)

    @property
    def is_open(self) -> bool:
        """Whether something was sent that is not committed."""
        return self._open

    async def run(self) -> None:
        """All steps in order."""
        for step in self.steps():
            await step()

    def steps(self) -> list[Callable[[], Awaitable[None]]]:
        """The order that exactly-once rests on."""
        return [
            self._prepare,
            self._send_changelogs,
            self._send_outputs,
            self._send_offsets,
            self._end,
            self._write_stores,
        ]

    async def _prepare(self) -> None:
        reach("commit: emit and save")
        for task in self._tasks:
            await task.prepare()
        for ingest in self._ingests:
            ingest.prepare()

    async def _send_changelogs(self) -> None:
        await self._begin()
        reach("commit: send changelog")
        for task in self._tasks:
            for _ in task.stores.commit_slices():
                await asyncio.sleep(0)

    async def _begin(self) -> None:
        if not self._open:
            reach("commit: begin transaction")
            if self._transactional:
                await self._producer.begin()
            self._open = True

    async def send_early(self, outputs: Outputs, without: Collection[str] = ()) -> None:
        """Sends what is waiting without ending the transaction, but for what goes to the topics `without`."""
        await self._begin()
        await self._drain_one(outputs, without)

    async def _send_outputs(self) -> None:
        """Markers of stream time go last: a reader is to meet them behind the data of every task."""
        reach("commit: send outputs")
        sends = any(part.outputs.pending_records for part in self.parts)
        quiet = not sends and not self._coming() and not any(task.news() for task in self._tasks)
        await self._drain()
        for task in self._tasks:
            task.mark_time(self._marks, self._partitions, quiet=quiet)
        await self._drain_one(self._marks)

    async def _drain(self) -> None:
        """What several tasks have for a partition leaves in one batch: a broker works for each."""
        if self.parts:
            first, *others = (part.outputs for part in self.parts)
            for outputs in others:
                first.take(outputs)
            await self._drain_one(first)
        await self._drain_one(self._extra)

    async def _drain_one(self, outputs: Outputs, without: Collection[str] = ()) -> None:
        for tp, batch, count in outputs.drain(without):
            self._held_bytes += len(batch)
            self._posted.append((tp, count, await self._producer.post(tp, batch)))
            if self._held_bytes >= TOGETHER_BYTES:
                self._held_bytes = 0
                await asyncio.sleep(0)

    async def _arrived(self) -> None:
        """Everything that was sent is there."""
        for tp, count, answer in self._posted:
            self._ends[tp] = await answer + count
        self._posted.clear()

    async def _send_offsets(self) -> None:
        reach("commit: send offsets")
        if self._ingests or not self._transactional:
            await self._arrived()  # else records and offsets are on their way together
        moved = {tp: offset for task in self._tasks for tp, offset in task.news().items()}
        moved |= {tp: offset for ingest in self._ingests for tp, offset in ingest.news(self._ends).items()}
        # Who changes a table without having read anything is to be known as a member as well.
        moved = moved or {tp: offset for task in self._tasks for tp, offset in task.positions().items()}
        offsets = {tp: Committed(at, "") for tp, at in moved.items()}
        while offsets:
            identity = self._identity()
            try:
                await self._producer.send_offsets(identity, offsets)
                return
            except StaleGenerationError:
                if self._settled is None:
                    raise
                await self._settled(identity.generation)

    async def _end(self) -> None:
        await self._arrived()
        reach("commit: end transaction")
        if self._transactional:
            await self._producer.commit()
        self._open = False
        for part in self.parts:
            part.committed()

    async def _write_stores(self) -> None:
        reach("commit: write stores")
        for task in self._tasks:
            for _ in task.stores.finish_commit(self.checkpoints(task)):
                reach("commit: write a slice")
                await asyncio.sleep(0)
        self._ends.clear()
        self.count += 1
        reach("commit: done")

    def checkpoints(self, task: Task) -> dict[str, Checkpoint]:
        """How far each store's changelog is contained in it once this commit is written."""
        found: dict[str, Checkpoint] = {}
        positions = task.positions()
        for store in task.stores.specs:
            own = self._changelog_of(task, store)
            if own is not None and own[0] in self._ends:
                found[store] = Checkpoint(own[1], self._ends[own[0]])
            source = self._source_checkpoint(task, store)
            if source is not None and source[0] in positions:
                found[store] = Checkpoint(source[1], positions[source[0]])
        return found
