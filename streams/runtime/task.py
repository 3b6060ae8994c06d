"""A task: one sub-topology over one partition of its topics. It owns its operators, its stores and its place in the
input.

Records of several partitions are taken in the order of their timestamps: the task hands on the longest run of the
earliest partition that is not later than the next one's head (`choice.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from time import process_time
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from state.task_stores import TaskStores
from streams.batch import Batch
from streams.errors import failing_in
from streams.graph.emission import told_at_once
from streams.graph.nodes import AgentNode
from streams.graph.plan import NO_CIRCLE, Circle, SubTopology
from streams.operators.base import NO_TIME, Operator, TaskContext
from streams.operators.clocks import Clocks
from streams.operators.failures import Failures
from streams.operators.outputs import Outputs
from streams.operators.punctuations import Kind, Punctuations, Schedule
from streams.operators.registry import operator_for
from streams.operators.shapes import check_shapes
from streams.operators.sources.source import Marker, SourceOperator
from streams.runtime.choice import Choice
from streams.runtime.conditions import Conditions
from streams.runtime.executor import TURN_S, Executor, Work
from streams.runtime.idle_sources import IdleSources
from streams.runtime.queue import PartitionQueue
from streams.runtime.stream_time import WriterTimes, marker, read_marker, time_bound
from streams.transport.contract import TopicPartition

if TYPE_CHECKING:
    from streams.operators.agents.agent import AgentOperator

ROWS_AT_FIRST = 1_024


class Start(NamedTuple):
    """Where a task reads a partition on. `is_new`: nothing says so but the end of the log as it was just now, and it is
    to be committed before it can be forgotten.
    """

    offset: int
    is_new: bool = False


class Mark(NamedTuple):
    """A task's time, its time without that of the circle it is in, and whether it is idle."""

    time: int
    round_time: int
    idle: bool


class Task:
    """`writers` tells how many tasks write each repartition topic that holds this one's time back, `circle` by which
    topics it feeds itself.
    """

    def __init__(
        self,
        sub: SubTopology,
        partition: int,
        *,
        stores: TaskStores,
        outputs: Outputs,
        failures: Failures,
        conditions: Conditions,
        writers: dict[str, int],
        clock_store: str | None,
        batch_records_max: int,
        idle_after_ms: int | None,
        max_task_idle_ms: int = 0,
        idle_sources: IdleSources | None = None,
        circle: Circle = NO_CIRCLE,
        app_id: str = "",
    ) -> None:
        self.sub = sub
        self.partition = partition
        self.id = sub.task_id(partition)
        self.stores = stores
        self.outputs = outputs
        self.failures = failures
        clocks = None if clock_store is None else Clocks(stores, clock_store)
        self.context = TaskContext(
            *(self.id, partition, stores, outputs, failures, conditions.now_ms, conditions.sleep, conditions.emit),
            clocks=clocks,
            shared_stores=sub.shared_stores,
            by_row=sub.row_reason is not None,
            at_once=told_at_once(sub.nodes),
            app_id=app_id,
            punctuations=Punctuations(conditions.now_ms) if sub.processes else None,
        )
        self.operators: dict[str, Operator[Any]] = {node.name: operator_for(node, self.context) for node in sub.nodes}
        self.context.operators = self.operators
        self.has_agents = any(isinstance(node, AgentNode) for node in sub.nodes)
        self.executor = Executor(sub, self.operators, self._forget_expired, self._due)
        self.context.run_within = self.executor.run_within
        self._punctuated = False
        self._expiring = [store.name for store in sub.stores if store.ttl_ms is not None]
        self.queues: list[PartitionQueue] = []
        self.choice = Choice(self.queues, max_task_idle_ms, conditions.now_ms)
        self.records = 0
        self._writer_times = {topic: WriterTimes(count) for topic, count in writers.items()}
        self._circle = circle
        self._passing_on = sub.passing_on
        self._repartitions = [node.topic.name for node in sub.repartitions]
        self._passed_on_time = NO_TIME
        self._marked: Mark | None = None
        self._committed: dict[TopicPartition, int] = {}
        self._idle_after_ms = idle_after_ms
        self._busy_ms = conditions.now_ms()
        self._idle_sources = idle_sources
        self._rows_max = batch_records_max
        self._rows = min(ROWS_AT_FIRST, batch_records_max)

    def open(self, starts: Mapping[TopicPartition, Start], ends: Mapping[TopicPartition, int]) -> None:
        """Opens the operators, when the stores are restored; `starts` says where to read on, `ends` where the logs end
        now.
        """
        for source in self.sub.sources:
            tp = TopicPartition(source.topic.name, self.partition)
            operator = self.operators[source.name]
            if tp in starts and isinstance(operator, SourceOperator):
                self.queues.append(PartitionQueue(tp, operator, starts[tp].offset, ends[tp]))
        self._busy_ms = self.context.now_ms()
        self._committed = {tp: offset for tp, offset in self.positions().items() if not starts[tp].is_new}
        check_shapes(self.sub.nodes, self.context)
        self._load_times()
        if self._idle_sources is not None:
            self._idle_sources.saw(self.stream_time, self._busy_ms)
        punctuations = self.context.punctuations
        if punctuations is not None:
            punctuations.load(self.context.load_clock("schedules"))
        for operator in self.operators.values():
            operator.open()
        if punctuations is not None:
            punctuations.opened()

    # -- input

    def wants(self) -> Iterator[PartitionQueue]:
        """The partitions that have nothing waiting here: what the next fetch asks for. All others are paused."""
        return (queue for queue in self.queues if queue.wants())

    async def turn(self) -> int:
        """Processes records, for about `TURN_S`, and makes the calls that the clock on the wall makes due; returns the
        number of both, 0 when there is nothing to do now.

        What is raised here, as in `prepare`, is a StreamsError that knows its task.
        """
        with failing_in(self.id):
            return await self._turn() + await self._go_idle() + await self._punctuate()

    def has_work(self) -> bool:
        """Whether a turn has records to process, or a call that is due."""
        due = self.next_wall_ms
        return any(not queue.is_empty() for queue in self.queues) or (due is not None and due <= self.context.now_ms())

    def collects(self) -> bool:
        """Whether an agent is collecting a list."""
        return any(agent.collects for agent in self._agents())

    async def hand_over(self) -> int:
        """Gives agents the lists that they collect as they are."""
        with failing_in(self.id):
            return await self.executor.run((agent.node.name, agent.flush) for agent in self._agents())

    def _agents(self) -> list[AgentOperator]:
        return [cast("AgentOperator", one) for one in self.operators.values() if isinstance(one.node, AgentNode)]

    async def _turn(self) -> int:
        """A run, or several where partitions take turns; until one is empty, as a fetch may have more of it."""
        rows, started = 0, process_time()  # an agent that waits costs nothing
        while rows < self._rows and (chosen := self.choice.next()) is not None:
            queue, until = chosen
            run = queue.take(self._rows - rows, until)
            if isinstance(run, Batch):
                await self._process(queue, run)
                rows += len(run)
            elif isinstance(run, Marker):
                await self._move_time(queue.tp.topic, run)
                return rows + 1
            elif run is not None:
                queue.source.reject(run)
                return rows + 1
            if until is None or queue.is_empty() or process_time() - started > TURN_S:
                break
        if rows:
            self._adapt(rows, process_time() - started)
        return rows

    async def _process(self, queue: PartitionQueue, run: Batch) -> None:
        self.context.at_hand = run
        if self.context.punctuations is not None:
            self.context.punctuations.begin(self.context.times_at_hand())
        await self.executor.push(queue.source.node, run)
        self.context.at_hand = None
        self.context.stream_time_seen = max(self.context.stream_time_seen, queue.stream_time)
        if queue.tp.topic in self._passing_on:
            self._passed_on_time = max(self._passed_on_time, queue.stream_time)
        if not queue.source.node.topic.internal:
            self.records += len(run)
        self._busy_ms = self.context.now_ms()
        if self._idle_sources is not None:
            self._idle_sources.saw(self.stream_time, self._busy_ms)

    def _forget_expired(self, row: Batch) -> None:
        """Before each record: what has outlived the `ttl` of its table, by this record's time, is forgotten."""
        if not self._expiring:
            return
        self.context.stream_time_seen = max(self.context.stream_time_seen, int(row.timestamps[0]))
        for store in self._expiring:
            if store in self.context.views:
                for _ in self.context.views[store].save():
                    pass
            keys = self.stores.expire(store, self.stream_time)
            for operator in self.operators.values() if keys else ():
                operator.forget(store, keys)

    def _adapt(self, rows: int, seconds: float) -> None:
        if rows >= self._rows or seconds > TURN_S:
            fitting = int(rows * TURN_S / max(seconds, 1e-6))
            self._rows = max(1, min(fitting, 2 * self._rows, self._rows_max))

    # -- time

    @property
    def stream_time(self) -> int:
        """The largest timestamp processed, held back as the operators' time is."""
        return self.context.stream_time(self.context.stream_time_seen)

    async def _move_time(self, topic: str, found: Marker) -> None:
        if topic in self._writer_times:
            self._writer_times[topic].update(*read_marker(found.value))
        before, self.context.time_bound = self.context.time_bound, self._bound()
        if self.context.time_bound > before:
            await self.executor.advance()

    async def _go_idle(self) -> int:
        """Lets time go on without records, if the input has been idle for so long as that takes; 0, as there is nothing
        more to do now.
        """
        if self._idle_sources is None or not self.drained():
            return 0
        time = self._idle_sources.time(self._busy_ms, self.context.now_ms())
        held = [time for times in self._writer_times.values() for time in times.holding]
        before = self.context.idle_time
        self.context.idle_time = max(before, min([time, *held]))
        if self.context.idle_time > before:
            await self.executor.advance()
        return 0

    def _bound(self, without: frozenset[str] = frozenset()) -> int:
        return time_bound([times for topic, times in self._writer_times.items() if topic not in without])

    def _load_times(self) -> None:
        seen = self.context.load_clock("stream time")
        if seen is not None:
            self.context.stream_time_seen, self._passed_on_time = seen
        for topic, times in self._writer_times.items():
            times.load(self.context.load_clock(f"writers of {topic}") or [])
        self.context.time_bound = self._bound()
        self.choice.load(self.context.load_clock("turns") or [])
        for queue in self.queues:
            seen = self.context.load_clock(f"partition time of {queue.tp.topic}")
            if seen is not None:
                queue.stream_time = queue.source.extraction.partition_time = seen

    def _save_times(self) -> None:
        if self.context.punctuations is not None:
            self.context.save_clock("schedules", self.context.punctuations.dump())
        for queue in self.queues:
            if queue.source.node.topic.timestamp is not None:
                self.context.save_clock(f"partition time of {queue.tp.topic}", queue.stream_time)
        if self.choice.takes_turns:
            self.context.save_clock("turns", self.choice.dump())
        self.context.save_clock("stream time", [self.context.stream_time_seen, self._passed_on_time])
        for topic, times in self._writer_times.items():
            self.context.save_clock(f"writers of {topic}", times.dump())

    # -- schedules

    def _due(self, offset: int | None) -> Iterator[tuple[str, Work]]:
        """The calls that stream time makes due, behind the record at an offset of those at hand, or where it is now."""
        punctuations = self.context.punctuations
        if punctuations is None:
            return
        if offset is None:
            yield from self._calls("stream", self.stream_time)
            return
        for schedule, time in punctuations.through(*self.context.places_at_hand(np.array([offset + 1]))):
            yield self._call(schedule, time)

    def _calls(self, kind: Kind, time_ms: int) -> Iterator[tuple[str, Work]]:
        punctuations = self.context.punctuations
        assert punctuations is not None
        for schedule in punctuations.due(kind, time_ms):
            self._punctuated = True
            yield self._call(schedule, time_ms)

    def _call(self, schedule: Schedule, time_ms: int) -> tuple[str, Work]:
        return schedule.step, partial(self.operators[schedule.step].punctuate, schedule, time_ms)

    async def _punctuate(self) -> int:
        wall_ms = self.next_wall_ms
        if wall_ms is None or wall_ms > self.context.now_ms():
            return 0
        return await self.executor.run(self._calls("wall", self.context.now_ms()))

    @property
    def next_wall_ms(self) -> int | None:
        """When the clock on the wall next makes a call due; None if never."""
        punctuations = self.context.punctuations
        return None if punctuations is None else punctuations.next_wall_ms

    # -- commit

    async def prepare(self) -> None:
        """Before a commit: emits what waits for it, and puts everything in memory into stores and outputs."""
        with failing_in(self.id):
            await self._prepare()

    async def _prepare(self) -> None:
        await self.executor.flush()
        for operator in self.operators.values():
            for _ in operator.save():
                await asyncio.sleep(0)
        self._save_times()

    def _mark(self) -> Mark | None:
        """What the tasks behind a repartition are to know. None: nothing to tell."""
        if not self._repartitions:
            return None
        seen = self._passed_on_time
        if seen == NO_TIME:
            return self._mark_without_records()
        after = self._idle_after_ms
        idle = after is not None and self.drained() and self.context.now_ms() - self._busy_ms >= after
        # What goes round a circle is not held back by what comes round it, or both would wait for each other.
        return Mark(min(seen, self.context.time_bound), min(seen, self._bound(self._circle.back)), idle)

    def _mark_without_records(self) -> Mark | None:
        """An input that never had a record holds nobody back; one that is not read to its end may yet have one. Behind
        a repartition that end is where all writers have told their times: what one of them has sent before, perhaps
        from another worker, stands in front of what it has told.
        """
        if not self.drained():
            return None
        if self._circle.back or not any(times.holding for times in self._writer_times.values()):
            return Mark(NO_TIME, NO_TIME, idle=True)
        time = self.context.time_bound
        return None if time == NO_TIME else Mark(time, time, idle=False)

    def mark_time(self, outputs: Outputs, partitions: Callable[[str], int], *, quiet: bool) -> None:
        """Adds the markers, if there is something new to tell. Unless all is `quiet`, nobody is called idle: data may
        be on its way.
        """
        mark = self._mark()
        if mark is None or mark == self._marked or (mark.idle and not quiet):
            return
        self._marked = mark
        for topic in self._repartitions:
            time = mark.round_time if topic in self._circle.out else mark.time
            value = marker(self.partition, time, mark.idle)
            for partition in range(partitions(topic)):
                outputs.add(topic, [None], [value], [max(0, time)], partition=partition)

    def has_news(self) -> bool:
        """Whether there is anything to commit."""
        moved = self.positions() != self._committed
        return moved or self._punctuated or bool(self.outputs.pending_records) or self._mark() != self._marked

    def news(self) -> dict[TopicPartition, int]:
        """The offsets that moved since the last commit."""
        return {tp: offset for tp, offset in self.positions().items() if self._committed.get(tp) != offset}

    def committed(self) -> None:
        """The transaction with `positions` in it has succeeded."""
        self._committed = self.positions()
        self._punctuated = self.context.commit_asked = False
        self.failures.settled()

    def drained(self) -> bool:
        """Everything that is in the log was processed."""
        return all(queue.is_empty() and not queue.lagging() for queue in self.queues)

    def positions(self) -> dict[TopicPartition, int]:
        """The offsets to commit."""
        return {queue.tp: queue.consumed for queue in self.queues}

    @property
    def pending(self) -> int | None:
        """Up to when (wall clock, ms) a commit may be put off; None: there is no need to."""
        asked = (operator.pending for operator in self.operators.values())
        return min((until for until in asked if until is not None), default=None)

    async def close(self) -> None:
        """Ends the operators, and waits until nothing of them runs."""
        for operator in self.operators.values():
            operator.close()
        for operator in self.operators.values():
            await operator.closed()
