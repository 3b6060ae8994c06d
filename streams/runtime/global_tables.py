"""The global tables of a worker: all partitions of their topics, loaded before processing starts and followed while it
goes on, beside the tasks and whatever their time (Kafka Streams' global stream thread).

Their stores lie in a folder beside those of the tasks, each with a checkpoint a partition, written when the worker
commits: a start reads what was added since. The topic is the changelog; a store that cannot go on from its checkpoints
is emptied and read anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from state.api import Checkpoint, StoreSpec
from state.checkpoint import needs_rebuild
from state.task_stores import TaskStores
from streams.batch import Batch
from streams.graph.nodes import SourceNode, TableSourceNode
from streams.operators.base import TaskContext
from streams.operators.failures import Failures
from streams.operators.outputs import Outputs
from streams.operators.sources.source import SourceOperator, Undecodable
from streams.operators.sources.table_source import TableSourceOperator
from streams.operators.table_view import TableView
from streams.runtime.folders import Folders
from streams.runtime.observer import Restoring
from streams.runtime.state_folders import GLOBAL
from streams.runtime.topics import Topics
from streams.transport.committed import read_committed
from streams.transport.contract import Fetched, TopicPartition, Transport

log = logging.getLogger(__name__)


class GlobalTables:
    """`take` puts what a fetch brought into a table, for all tasks at once."""

    def __init__(
        self,
        nodes: list[TableSourceNode],
        topics: Topics,
        folders: Folders,
        outputs: Outputs,
        failures: Failures,
        now_ms: Callable[[], int],
    ) -> None:
        self._topics = topics
        self.outputs = outputs
        specs = [StoreSpec(node.store.name, logged=False) for node in nodes]
        self.stores = TaskStores(folders.backend(GLOBAL, needed=bool(nodes)), specs, lambda *changes: None)
        self.context = TaskContext(GLOBAL, -1, self.stores, outputs, failures, now_ms)
        self._tables = {node.store.changelog: TableSourceOperator(node, self.context) for node in nodes}
        self._sources = {node.store.changelog: _source(node, self.context) for node in nodes}
        self.positions: dict[TopicPartition, int] = {}
        self._saved: dict[TopicPartition, int] = {}

    @property
    def views(self) -> Mapping[str, TableView]:
        """The tables by name: what the tasks share."""
        return {table.node.store.name: self.context.view(table.node.store) for table in self._tables.values()}

    async def load(self, transport: Transport, tell: Callable[[Restoring], None]) -> int:
        """Brings every table to the end of its topic as it is now; the number of records that it took."""
        tps = [TopicPartition(name, at) for name in self._tables for at in range(self._topics.partitions(name))]
        starts, ends = await transport.earliest(tps), await transport.latest(tps)
        for name, table in self._tables.items():
            self.positions |= self._begin(table.node.store.name, [tp for tp in tps if tp.topic == name], starts, ends)
            table.open()
        self._saved = dict(self.positions)
        read: dict[TopicPartition, int] = dict.fromkeys(tps, 0)
        while behind := {tp: at for tp, at in self.positions.items() if at < ends[tp]}:
            for fetched in await transport.fetch(behind, wait_ms=1_000):
                read[fetched.tp] += self.take(fetched)
                if self.stores.over_bound():
                    await self.save()
                await asyncio.sleep(0)
        await self.save()
        for tp, records in read.items():
            if records:
                tell(Restoring(self._tables[tp.topic].node.store.name, tp.partition, records, records, True, None))
        return sum(read.values())

    def take(self, fetched: Fetched) -> int:
        """Puts what a fetch brought of one partition into its table; the number of records."""
        source, table = self._sources[fetched.tp.topic], self._tables[fetched.tp.topic]
        raw = [data for _, data in read_committed(fetched)]
        segments = source.decode(raw, fetched.tp.partition, self.positions[fetched.tp]) if raw else []
        for segment in segments:
            if isinstance(segment, Undecodable):
                source.reject(segment)
            elif isinstance(segment, Batch):
                table.process(segment)
        self.positions[fetched.tp] = fetched.next_offset
        return sum(len(segment) if isinstance(segment, Batch) else 1 for segment in segments)

    def pushed(self) -> TaskStores:
        """The stores, with all that was taken in them."""
        for table in self._tables.values():
            for _ in table.save():
                pass
        return self.stores

    async def save(self) -> None:
        """Writes what has changed to the stores, with how far each partition is contained in them."""
        if self.positions == self._saved:
            return
        for table in self._tables.values():
            for _ in table.save():
                await asyncio.sleep(0)
        for _ in self.stores.commit_slices():
            await asyncio.sleep(0)
        for _ in self.stores.finish_commit(self._checkpoints()):
            await asyncio.sleep(0)
        self._saved = dict(self.positions)

    def _checkpoints(self) -> dict[str, Checkpoint]:
        return {
            _place(self._tables[tp.topic].node.store.name, tp): Checkpoint(self._topics.infos[tp.topic].topic_id, at)
            for tp, at in self.positions.items()
        }

    def _begin(
        self,
        store: str,
        tps: list[TopicPartition],
        starts: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
    ) -> dict[TopicPartition, int]:
        """Where the reading of each partition goes on; from the beginning for all if one cannot go on."""
        found, marks = self.stores.checkpoints(), self.stores.in_progress()
        known = {tp: found.get(_place(store, tp)) for tp in tps}
        topic_id = self._topics.infos[tps[0].topic].topic_id
        reasons = [needs_rebuild(known[tp], marks.get(_place(store, tp)), topic_id, ends[tp], starts[tp]) for tp in tps]
        if all(known.values()) and not any(reasons):
            return {tp: checkpoint.offset for tp, checkpoint in known.items() if checkpoint is not None}
        for reason in filter(None, reasons):
            log.warning("global table %s is built anew from its topic: %s", store, reason)
        # Without its checkpoints first: a crash in between leaves a store that is emptied again.
        self.stores.forget([_place(store, tp) for tp in tps])
        self.stores.clear(store)
        return {tp: starts[tp] for tp in tps}


def _source(node: TableSourceNode, context: TaskContext) -> SourceOperator:
    parent = node.parents[0]
    assert isinstance(parent, SourceNode)
    return SourceOperator(parent, context)


def _place(store: str, tp: TopicPartition) -> str:
    """The name of a partition's checkpoint; no store can be called so."""
    return f"{store}:{tp.partition}"
