"""Where an app keeps what it has to find again: committed offsets, changelogs, positions of sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec

from broker_embedded import records
from streams.graph.plan import Plan, SubTopology
from streams.runtime.restore import Changelog
from streams.runtime.task import Start, Task
from streams.runtime.topics import Topics, clock_store, position_topic
from streams.sources import Source
from streams.transport.committed import read_committed
from streams.transport.contract import Committed, TopicPartition, Transport

POSITIONS_BACK = 100
"""The last position of a source is looked for among the last so many offsets first."""


class OfTask(Protocol):
    """A task, or what is known of one that nobody has made here."""

    @property
    def sub(self) -> SubTopology: ...

    @property
    def partition(self) -> int: ...


class Whereabouts:
    """Reads what the last commit of an app left."""

    def __init__(self, plan: Plan, topics: Topics, transport: Transport) -> None:
        self._plan = plan
        self._topics = topics
        self._transport = transport
        self._clocks = {sub.id: clock_store(sub, plan.app_id) for sub in plan.subtopologies}

    def sources(self, task: Task) -> list[TopicPartition]:
        """The partitions that a task reads; of a topic with fewer than the others there may be none for it."""
        names = (source.topic.name for source in task.sub.sources)
        return [
            TopicPartition(name, task.partition) for name in names if task.partition < self._topics.partitions(name)
        ]

    async def starts(self, tasks: Iterable[Task]) -> dict[TopicPartition, Start]:
        """Where each partition that the tasks read goes on: at the committed offset; where there is none, at the
        beginning or where its topic says.
        """
        tps = [tp for task in tasks for tp in self.sources(task)]
        committed = await self._transport.committed(self._plan.app_id, tps)
        earliest = await self._transport.earliest(tps)
        at_end = {name for name, topic in self._plan.topics.items() if topic.start == "end"}
        new = [tp for tp in tps if tp.topic in at_end and committed[tp] is None]
        ends = await self._transport.latest(new) if new else {}
        return {
            tp: Start(ends[tp], is_new=True) if tp in ends else Start(_start(committed[tp], earliest[tp])) for tp in tps
        }

    def changelogs(
        self, tasks: Iterable[Task], starts: Mapping[TopicPartition, Start]
    ) -> dict[tuple[Task, str], Changelog]:
        """From where each store of each task is restored; from a source topic only as far as it was committed."""
        found: dict[tuple[Task, str], Changelog] = {}
        for task in tasks:
            for store in task.stores.specs:
                own, source = self.changelog_of(task, store), self.source_of(task, store)
                if own is not None:
                    found[task, store] = Changelog(*own)
                elif source is not None:
                    found[task, store] = Changelog(*source, end=starts[source[0]].offset)
        return found

    def changelog_of(self, task: OfTask, store: str) -> tuple[TopicPartition, str] | None:
        """The changelog partition of a store and the topic's id; None for a table that its own topic serves."""
        found = self._plan.stores.get(store)
        if found is not None and found.source_topic is not None:
            return None
        clock = self._clocks[task.sub.id]
        name = found.changelog if found is not None else clock.changelog if clock is not None else ""
        return TopicPartition(name, task.partition), self._topics.infos[name].topic_id

    def source_of(self, task: OfTask, store: str) -> tuple[TopicPartition, str] | None:
        """The partition of the topic that serves a table as changelog, and the topic's id; None if it has its own, or
        for a task beside a larger topic, to which the table's has no such partition.
        """
        found = self._plan.stores.get(store)
        if found is None or found.source_topic is None:
            return None
        info = self._topics.infos[found.source_topic.name]
        return (TopicPartition(info.name, task.partition), info.topic_id) if task.partition < info.partitions else None

    async def position(self, source: Source) -> tuple[Any, int]:
        """The last position committed by a source, None if there is none, and the end of the topic that keeps it. Waits
        for what is not decided yet.
        """
        tp = TopicPartition(position_topic(self._plan.app_id, source.name), 0)
        begin = (await self._transport.earliest([tp]))[tp]
        end = (await self._transport.latest([tp], "read_uncommitted"))[tp]
        for at in (max(begin, end - POSITIONS_BACK), begin):
            found = await self._values_between(tp, at, end)
            if found:
                return msgspec.json.decode(found[-1] or b"null"), end
        return None, end

    async def _values_between(self, tp: TopicPartition, at: int, end: int) -> list[bytes | None]:
        values: list[bytes | None] = []
        while at < end:
            for fetched in await self._transport.fetch({tp: at}, wait_ms=1_000):
                for _, data in read_committed(fetched):
                    values += records.decode(data).values()
                at = fetched.next_offset
        return values


def _start(committed: Committed | None, earliest: int) -> int:
    return earliest if committed is None else max(committed.offset, earliest)
