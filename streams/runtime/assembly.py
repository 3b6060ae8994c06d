"""Everything a worker runs, put together: transport, topics, producer, stores, tasks, sources, commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from broker_embedded import records
from state.api import Backend, StoreSpec
from state.backends.memory import MemoryBackend
from state.task_stores import TaskStores
from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, TopicDef
from streams.graph.nodes import Node
from streams.graph.plan import Plan, SubTopology
from streams.operators.base import TaskContext
from streams.operators.encoding import RecordEncoder
from streams.operators.failures import Failures
from streams.operators.outputs import Outputs
from streams.runtime.commit import Commit
from streams.runtime.folders import task_folder
from streams.runtime.ingest import Ingest
from streams.runtime.observer import Restoring
from streams.runtime.restore import ChangelogPlace, Restore
from streams.runtime.task import Task
from streams.runtime.topics import Topics, clock_store, position_topic, transactional_id
from streams.runtime.totals import Totals
from streams.sources import Source
from streams.transport.committed import read_committed
from streams.transport.contract import Committed, Producer, TopicPartition, Transport

if TYPE_CHECKING:
    from streams.app import App

Sleep = Callable[[float], Awaitable[Any]]

log = logging.getLogger("streams.worker")

POSITIONS_BACK = 100
"""The last position of a source is looked for among the last so many offsets first."""
PURGE_RECORDS = 100_000
"""Processed records of a repartition partition after which they are deleted there."""


class Assembly:
    """The parts of a running worker. Made by `assemble`."""

    def __init__(
        self,
        app: App,
        plan: Plan,
        transport: Transport,
        topics: Topics,
        producer: Producer,
        now_ms: Callable[[], int],
        where: str,
        *,
        sleep: Sleep,
        replay: bool,
        before: Assembly | None = None,
    ) -> None:
        self.app = app
        self.settings = app.settings
        self.plan = plan
        self.transport = transport
        self.topics = topics
        self.producer = producer
        self.where = where
        self.replay = replay
        self.woken = asyncio.Event()
        self._now_ms = now_ms
        self._sleep = sleep
        self._backends: dict[str, Backend] = {} if before is None else before._backends
        self.earlier = Totals() if before is None else before.totals()
        self._purged: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self.extra: Outputs = self._outputs() if before is None else before.extra
        self.failures: list[Failures] = []
        self.restore: Restore | None = None
        self.tasks = [
            self._task(sub, partition) for sub in plan.subtopologies for partition in range(topics.tasks[sub.id])
        ]
        self.ingests = [self._ingest(source) for source in app.sources]
        self.task_of: dict[TopicPartition, Task] = {}
        self.commit = Commit(
            producer,
            app.id,
            self.tasks,
            self.ingests,
            self.extra,
            self._outputs(),
            transactional=_is_exactly_once(app),
            partitions=topics.partitions,
            changelog_of=self._changelog_of,
            source_checkpoint=self._source_of,
        )

    # -- parts

    def _outputs(self) -> Outputs:
        return Outputs(self.topics.partitions, self.topics.codec)

    def _failures(self, outputs: Outputs) -> Failures:
        made = Failures(self.settings.policy, outputs, f"{self.app.id}-dead-letter")
        self.failures.append(made)
        return made

    def _task(self, sub: SubTopology, partition: int) -> Task:
        outputs = self._outputs()
        clock = clock_store(sub, self.app.id)
        defs = [*sub.stores, clock] if clock is not None else sub.stores
        changelogs = {store.name: store.changelog for store in defs}

        def log(store: str, keys: list[bytes], values: list[bytes | None], timestamps: list[int]) -> None:
            outputs.add(changelogs[store], keys, values, timestamps, partition=partition)

        stores = TaskStores(
            self._backend(f"{sub.id}-{partition}", bool(defs)),
            [_spec(store) for store in defs],
            log,
            max_pending_entries=self.settings.uncommitted_entries_max,
            max_pending_bytes=self.settings.uncommitted_bytes_max,
        )
        return Task(
            sub,
            partition,
            stores=stores,
            outputs=outputs,
            failures=self._failures(outputs),
            now_ms=self._now_ms,
            sleep=self._sleep,
            writers=self._writers(sub),
            clock_store=None if clock is None else clock.name,
            batch_records_max=self.settings.batch_records_max,
            idle_after_ms=None if self.replay else self.settings.idle_after_ms,
        )

    def _backend(self, task: str, needed: bool) -> Backend:
        if not needed or self.settings.store == "memory":
            return self._backends.setdefault(task, MemoryBackend())
        if task not in self._backends:
            from state.backends.rocks import RocksBackend
            from state.budget import StateMemory

            StateMemory.shared().resize(self.settings.state_memory_bytes)
            self._backends[task] = RocksBackend(task_folder(self.settings, task))
        return self._backends[task]

    def _writers(self, sub: SubTopology) -> dict[str, int]:
        """For each repartition topic that the sub-topology reads, how many tasks write it."""
        read = {source.topic.name for source in sub.sources if source.topic.internal}
        written = (
            (node.topic.name, self.topics.tasks[other.id])
            for other in self.plan.subtopologies
            for node in other.repartitions
        )
        return {topic: count for topic, count in written if topic in read}

    def _ingest(self, source: Source) -> Ingest:
        outputs = self._outputs()
        context = TaskContext(
            source.name,
            0,
            TaskStores(MemoryBackend(), [], lambda *_: None),
            outputs,
            self._failures(outputs),
            self._now_ms,
            self._sleep,
        )
        encoder = RecordEncoder(source.topic, Node(name=source.name, where=source.where), context)
        return Ingest(source, outputs, encoder, position_topic(self.app.id, source.name), self._now_ms, self.woken.set)

    # -- opening

    async def open(self, tell: Callable[[Restoring], None]) -> None:
        """Restores the stores and opens tasks and sources where the last commit left them."""
        positions = await self._positions()
        self.restore = Restore(self.transport, tell)
        await self.restore.run(self._places(positions))
        for task in self.tasks:
            task.open(positions)
            self.task_of.update(dict.fromkeys(task.positions(), task))
        for ingest in self.ingests:
            ingest.open(await self._source_position(ingest.source))
        self._ends = await self.transport.latest(self._outside())
        self.app.outputs = self.extra
        self.app.task_contexts = lambda: [task.context for task in self.tasks]

    async def _positions(self) -> dict[TopicPartition, int]:
        """The committed offset of every source partition; where there is none, the beginning."""
        tps = [
            TopicPartition(source.topic.name, partition)
            for sub in self.plan.subtopologies
            for source in sub.sources
            for partition in range(self.topics.partitions(source.topic.name))
        ]
        committed = await self.transport.committed(self.app.id, tps)
        earliest = await self.transport.earliest(tps)
        return {tp: _start(committed[tp], earliest[tp]) for tp in tps}

    def _places(self, positions: dict[TopicPartition, int]) -> dict[tuple[Task, str], ChangelogPlace]:
        places: dict[tuple[Task, str], ChangelogPlace] = {}
        for task in self.tasks:
            for store in task.stores.specs:
                own, source = self._changelog_of(task, store), self._source_of(task, store)
                if own is not None:
                    places[task, store] = ChangelogPlace(*own)
                elif source is not None:
                    places[task, store] = ChangelogPlace(*source, end=positions[source[0]])
        return places

    def _changelog_of(self, task: Task, store: str) -> tuple[TopicPartition, str] | None:
        found = self.plan.stores.get(store)
        if found is not None and found.source_topic is not None:
            return None
        clock = clock_store(task.sub, self.app.id)
        name = found.changelog if found is not None else clock.changelog if clock is not None else ""
        return TopicPartition(name, task.partition), self.topics.infos[name].topic_id

    def _source_of(self, task: Task, store: str) -> tuple[TopicPartition, str] | None:
        found = self.plan.stores.get(store)
        if found is None or found.source_topic is None:
            return None
        topic: TopicDef = found.source_topic
        return TopicPartition(topic.name, task.partition), self.topics.infos[topic.name].topic_id

    async def _source_position(self, source: Source) -> Any:
        """The last position committed by a source."""
        tp = TopicPartition(position_topic(self.app.id, source.name), 0)
        begin, end = (await self.transport.earliest([tp]))[tp], (await self.transport.latest([tp]))[tp]
        for at in (max(begin, end - POSITIONS_BACK), begin):
            found = await self._values_between(tp, at, end)
            if found:
                return msgspec.json.decode(found[-1] or b"null")
        return None

    async def _values_between(self, tp: TopicPartition, at: int, end: int) -> list[bytes | None]:
        values: list[bytes | None] = []
        while at < end:
            for fetched in await self.transport.fetch({tp: at}, wait_ms=1_000):
                for _, data in read_committed(fetched):
                    values += records.decode(data).values()
                at = fetched.next_offset
        return values

    # -- while running

    @property
    def records(self) -> int:
        """Records taken from topics, not counting repeats through repartition topics."""
        return self.earlier.records + sum(task.records for task in self.tasks)

    def totals(self) -> Totals:
        """Everything that is counted, since the start of the worker."""
        dropped = sum((part.dropped_counts for part in self.failures), self.earlier.dropped)
        return Totals(
            self.records,
            self.earlier.commits + self.commit.count,
            self.earlier.restored + (self.restore.records if self.restore is not None else 0),
            dropped,
        )

    def state_memory_bytes(self) -> int:
        """What the stores take in memory: of RocksDB its cache and write buffers, of stores in memory their entries."""
        if self.settings.store == "memory":
            return sum(backend.size_bytes() for backend in self._backends.values())
        from state.budget import StateMemory

        return StateMemory.shared().memory_bytes()

    def _outside(self) -> list[TopicPartition]:
        """Source partitions that others than this app write."""
        own = self.plan.produced | {source.topic.name for source in self.app.sources}
        return [tp for task in self.tasks for tp in task.positions() if tp.topic not in own]

    def collecting_s(self) -> float:
        """For how many seconds a commit may be put off, because a step is collecting records."""
        until = min((at for task in self.tasks if (at := task.pending) is not None), default=None)
        return 0.0 if until is None else (until - self._now_ms()) / 1000

    def at_end(self) -> bool:
        """All that was there is processed: sources are finished, every partition is read, foreign topics as far as
        they went at start.
        """
        if not all(ingest.finished for ingest in self.ingests):
            return False
        return all(
            queue.consumed >= self._ends[queue.tp]
            if queue.tp in self._ends
            else queue.is_empty() and not queue.lagging()
            for task in self.tasks
            for queue in task.queues
        )

    async def purge(self) -> None:
        """Deletes what was processed from repartition topics, now and then."""
        due = {
            queue.tp: queue.consumed
            for task in self.tasks
            for queue in task.queues
            if queue.source.node.topic.internal and queue.consumed - self._purged.get(queue.tp, 0) >= PURGE_RECORDS
        }
        if due:
            await self.transport.delete_records(due)
            self._purged.update(due)

    async def close(self) -> list[Exception]:
        """Lets everything go. What was not committed is dropped: it will be read again. Gives what went wrong, having
        closed the rest all the same.
        """
        self.app.outputs = self.app.task_contexts = None
        errors = await self._end_work()
        for backend in self._backends.values():
            await _attempt(backend.close, errors)
        await _attempt(self.transport.stop, errors)
        return errors

    async def _end_work(self) -> list[Exception]:
        """Ends what runs and the producer; the stores stay open, and the transport."""
        errors: list[Exception] = []
        for ingest in self.ingests:
            await _attempt(ingest.close, errors)
        for task in self.tasks:
            await _attempt(task.close, errors)
        await _attempt(self.producer.close, errors)
        return errors

    async def again(self) -> Assembly:
        """The same anew, over the same transport and stores, as the last commit left them: what is in memory is
        dropped, but for records that timers wait to send.
        """
        for error in await self._end_work():
            log.warning("while ending what the last commit left: %s", error)
        producer = await _producer(self.app, self.transport)
        for task in self.tasks:
            task.stores.abandon()
        return Assembly(
            *(self.app, self.plan, self.transport, self.topics, producer, self._now_ms, self.where),
            sleep=self._sleep,
            replay=self.replay,
            before=self,
        )


def _start(committed: Committed | None, earliest: int) -> int:
    return earliest if committed is None else max(committed.offset, earliest)


def _spec(store: StoreDef) -> StoreSpec:
    kind = "window" if store.windowed else "key_value"
    return StoreSpec(store.name, kind, ttl_ms=store.ttl_ms, logged=store.source_topic is None)  # type: ignore[arg-type]


async def _attempt(work: Callable[[], Awaitable[None] | None], errors: list[Exception]) -> None:
    try:
        if (result := work()) is not None:
            await result
    except Exception as error:  # noqa: BLE001 - handed to the caller with the others
        errors.append(error)


def _is_exactly_once(app: App) -> bool:
    return app.settings.processing_guarantee == "exactly_once"


async def _producer(app: App, transport: Transport) -> Producer:
    producer = transport.producer(transactional_id=transactional_id(app.id) if _is_exactly_once(app) else None)
    await producer.start()
    return producer


async def assemble(
    app: App,
    transport: Transport | None,
    now_ms: Callable[[], int],
    *,
    sleep: Sleep = asyncio.sleep,
    replay: bool,
) -> Assembly:
    """Plans the app, opens its transport, makes its topics. Raises what is wrong with any of these.

    In a `replay` nobody is idle: what a partition lacks may still come.
    """
    plan = app.plan()
    if not (plan.topics or app.timers or app.background):
        raise TopologyError(
            f"app {app.id!r} has no topic, so there is nothing to run: declare one with app.topic(...), and an agent, "
            "a pipeline or a source on it. Is this the app you mean?"
        )
    where = "a given transport"
    if transport is None:
        from streams.transport.opening import open_transport

        transport, where = open_transport(app.settings)
    await transport.start()
    topics = Topics(
        plan,
        transport,
        data_dir=str(app.settings.data_dir),
        default_partitions=app.settings.default_partitions,
        positions=[position_topic(app.id, source.name) for source in app.sources],
    )
    try:
        await topics.prepare()
        producer = await _producer(app, transport)
        return Assembly(app, plan, transport, topics, producer, now_ms, where, sleep=sleep, replay=replay)
    except BaseException:
        await transport.stop()
        raise
