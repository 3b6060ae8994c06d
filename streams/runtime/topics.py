"""The topics of a plan: which are there, which have to be made, and with how many partitions.

A sub-topology has as many tasks as the largest of its source topics has partitions. Repartition topics that say nothing
take the number of the tasks that write them; changelogs have one partition a task.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterable

from streams.errors import PartitionCountError, RepartitionRenamedError, StoreRenamedError, TopologyError
from streams.graph.definitions import KEPT_FOREVER, StoreDef, TopicDef
from streams.graph.meetings import check_counts, co_partitioned, meetings
from streams.graph.plan import Plan, SubTopology
from streams.runtime.conditions import declared
from streams.runtime.topic_fit import check_fit, weaknesses
from streams.transport.contract import NotAllowedError, TopicInfo, TopicPartition, TopicSpec, Transport
from streams.transport.making import Making

log = logging.getLogger("streams.worker")

_INTERNAL = ("-changelog", "-repartition")
CHANGELOG_CONFIG = {"cleanup.policy": "compact", **KEPT_FOREVER}
"""Never deleted by record time: replayed old events would vanish at once. Windows go by our own tombstones."""
REPARTITION_CONFIG = {"cleanup.policy": "delete", **KEPT_FOREVER}
"""Purged by offset once processed, as in Kafka Streams."""


class Topics:
    """What the plan's topics look like on the broker, once `prepare` has run."""

    def __init__(
        self,
        plan: Plan,
        transport: Transport,
        *,
        data_dir: str,
        default_partitions: int,
        positions: Iterable[str] = (),
        declared: Callable[[TopicDef], int | None] = declared,
        making: Making | None = None,
    ) -> None:
        self._plan = plan
        self._data_dir = data_dir
        self._transport = transport
        self._default_partitions = default_partitions
        self._positions = list(positions)
        self._declared = declared
        self._making = making or Making()
        self.infos: dict[str, TopicInfo] = {}
        self.tasks: dict[str, int] = {}
        """Sub-topology id to number of tasks."""

    async def prepare(self) -> None:
        """Makes the topics that are missing.

        Raises PartitionCountError, StoreRenamedError, RepartitionRenamedError, InternalTopicError, or TopologyError
        when topics that are read together differ in partitions.
        """
        await self._external()
        await self._repartitions()
        self._check_co_partitioned()
        await self._changelogs()

    def partitions(self, topic: str) -> int:
        """Partition count of a topic of the plan."""
        return self.infos[topic].partitions

    def codec(self, topic: str) -> str:
        """The compression that producers of the topic use: its `compression.type`, none unless set."""
        codec = self.infos[topic].configs.get("compression.type", "producer")
        return "none" if codec in ("producer", "uncompressed") else codec

    async def _external(self) -> None:
        wanted = {topic.name: topic for topic in self._plan.topics.values() if not topic.internal}
        found = await self._transport.describe(list(wanted))
        for name, topic in wanted.items():
            count = self._declared(topic)
            if name in found and count not in (None, found[name].partitions):
                raise PartitionCountError(name, expected=count or 0, found=found[name].partitions, declared=True)
        missing = [topic for name, topic in wanted.items() if name not in found]
        default = self._default_partitions
        specs = [self._making.spec(t.name, self._declared(t) or default, t.config) for t in missing]
        await self._transport.create(specs)
        self.infos.update(await self._transport.describe([spec.name for spec in specs]))
        self.infos.update(found)

    async def _repartitions(self) -> None:
        """Counts flow from the sources along the graph, so sub-topologies are sized writers first. One that feeds
        itself, or one that feeds it, is sized by the topics that are known.
        """
        waiting = list(self._plan.subtopologies)
        while waiting:
            sub = min(waiting, key=self._unsized)
            waiting.remove(sub)
            self.tasks[sub.id] = self._largest(sub)
            await self._ensure([self._repartition(node.topic, sub) for node in sub.repartitions], sub)
        self.tasks = {sub.id: self._largest(sub) for sub in self._plan.subtopologies}

    def _unsized(self, sub: SubTopology) -> float:
        """How many of the topics that it reads are still to be sized; infinitely many where all are."""
        unsized = [source for source in sub.sources if source.topic.name not in self.infos]
        return math.inf if len(unsized) == len(sub.sources) else len(unsized)

    def _largest(self, sub: SubTopology) -> int:
        names = [source.topic.name for source in sub.sources]
        return max(self.partitions(name) for name in names if name in self.infos)

    def _repartition(self, topic: TopicDef, sub: SubTopology) -> TopicSpec:
        partitions = self._given(topic) or self._met(topic) or self.tasks[sub.id]
        return self._making.spec(topic.name, partitions, topic.config | REPARTITION_CONFIG)

    def _given(self, topic: TopicDef) -> int:
        """How many a topic has, or says that it has; 0 where both are open."""
        declared = None if topic.routed else self._declared(topic)
        return declared or (self.partitions(topic.name) if topic.name in self.infos else 0)

    def _met(self, topic: TopicDef) -> int | None:
        """The count that a repartition topic takes from the topics that its records meet by key: theirs, or of several
        repartition topics the largest that would be made (Kafka Streams' `CopartitionedTopicsEnforcer`).
        """
        met = self._meeting(topic)
        return max(map(self._given, met), default=0) or max((self._tasks_writing(other) for other in met), default=None)

    def _meeting(self, topic: TopicDef) -> list[TopicDef]:
        """The topics whose records meet those of a repartition topic by key, itself included."""
        groups = [group for sub in self._plan.readers(topic) for group in co_partitioned(sub) if topic in group]
        return [other for group in groups for other in group]

    def _tasks_writing(self, topic: TopicDef) -> int:
        """How many tasks write a repartition topic, as far as that is known."""
        writers = [sub for sub in self._plan.subtopologies if any(node.topic is topic for node in sub.repartitions)]
        known = [sub for sub in writers if any(source.topic.name in self.infos for source in sub.sources)]
        return max((self._largest(sub) for sub in known), default=0)

    def _check_co_partitioned(self) -> None:
        for sub in self._plan.subtopologies:
            for meeting in meetings(sub):
                check_counts(meeting, {topic.name: self.partitions(topic.name) for topic in meeting.topics})

    async def _changelogs(self) -> None:
        names = {sub.id: changelog_names(sub, self._plan.app_id) for sub in self._plan.subtopologies}
        await self._check_renamed({name for group in names.values() for name in group})
        for sub in self._plan.subtopologies:
            count = self.tasks[sub.id]
            await self._ensure([self._making.spec(n, count, CHANGELOG_CONFIG) for n in names[sub.id]], sub)
        await self._ensure([self._making.spec(name, 1, CHANGELOG_CONFIG) for name in self._positions])

    async def _check_renamed(self, changelogs: set[str]) -> None:
        app_id = self._plan.app_id
        repartitions = {topic.name for topic in self._plan.topics.values() if topic.internal}
        found = await internal_topics(self._transport, app_id, known=changelogs | repartitions)
        for name in found:
            # Clocks follow the sub-topology: they are ours, and going on without them costs nothing that a name could
            # save.
            if name.endswith("-changelog") and name not in changelogs and not name.endswith("-clocks-changelog"):
                store = name.removeprefix(f"{app_id}-").removesuffix("-changelog")
                if store in self._plan.stores:
                    raise self._kept_by_itself(self._plan.stores[store])
                raise StoreRenamedError(store, data_dir=self._data_dir, names=self._plan.stores)
        for name in found:
            if name.endswith("-repartition") and name not in repartitions and (left := await self._left_in(name)):
                raise RepartitionRenamedError(name, records=left, names=repartitions)

    def _kept_by_itself(self, store: StoreDef) -> TopologyError:
        assert store.source_topic is not None, "the changelogs of all others are known"
        return TopologyError(
            f"table {store.name!r} ({store.where}) had a changelog of its own, as versioned tables have and those that "
            f"streams are made into; now it is restored from {store.source_topic.name!r}. Go back, give the new one "
            f"another name=, or begin it anew with `streams reset APP --store {store.name}`."
        )

    async def _left_in(self, topic: str) -> int:
        """Records of a topic that the app has not processed."""
        info = (await self._transport.describe([topic]))[topic]
        tps = [TopicPartition(topic, partition) for partition in range(info.partitions)]
        ends, starts = await self._transport.latest(tps), await self._transport.earliest(tps)
        done = await self._transport.committed(self._plan.app_id, tps)
        return sum(ends[tp] - (starts[tp] if (at := done[tp]) is None else at.offset) for tp in tps)

    async def _ensure(self, specs: list[TopicSpec], sub: SubTopology | None = None) -> None:
        """Makes internal topics that are missing, and looks at those that are there. `sub` is the sub-topology that
        they belong to.
        """
        names = [spec.name for spec in specs]
        found = await self._transport.describe(names)
        for spec in specs:
            info = found.get(spec.name)
            if info is not None and info.partitions != spec.partitions:
                raise self._changed_count(spec, info, sub)
            if info is not None:
                check_fit(spec, info)
                for weakness in weaknesses(spec, info):
                    log.warning("%s", weakness)
        await self._transport.create([spec for spec in specs if spec.name not in found])
        self.infos.update(await self._transport.describe(names))

    def _changed_count(self, spec: TopicSpec, info: TopicInfo, sub: SubTopology | None) -> PartitionCountError:
        """An internal topic that has as many partitions as its sub-topology once had tasks tells what has changed."""
        topic = self._plan.topics.get(spec.name)
        if topic is not None and topic.routed:
            grown = next((other for other in self._meeting(topic) if self._given(other) == spec.partitions), topic)
            return PartitionCountError(grown.name, expected=info.partitions, found=spec.partitions, tells=info.name)
        if sub is None or spec.partitions != self.tasks[sub.id]:
            return PartitionCountError(spec.name, expected=spec.partitions, found=info.partitions, declared=True)
        largest = max(sub.sources, key=lambda source: self.partitions(source.topic.name))
        return PartitionCountError(largest.topic.name, expected=info.partitions, found=spec.partitions, tells=info.name)


def clock_store(sub: SubTopology, app_id: str) -> StoreDef | None:
    """The store in which a sub-topology's tasks keep their times; None for one that has no use for time."""
    behind = any(source.topic.internal for source in sub.sources)
    by_rule = any(source.topic.timestamp is not None for source in sub.sources)
    if not (sub.stores or sub.repartitions or sub.processes or behind or by_rule):
        return None
    name = f"{sub.id}-clocks"
    return StoreDef(name=name, changelog=f"{app_id}-{name}-changelog")


def changelog_names(sub: SubTopology, app_id: str) -> list[str]:
    """The changelogs that a sub-topology's tasks write."""
    clock = clock_store(sub, app_id)
    own = [store.changelog for store in sub.stores if store.source_topic is None]
    return own if clock is None else [*own, clock.changelog]


async def internal_topics(transport: Transport, app_id: str, *, known: Collection[str]) -> list[str]:
    """The changelogs and repartition topics that are there under the app's name, used or not; `known` are its own.

    Those of an app "shop-eu" are not among those of an app "shop": a topic that could be either's is the longer name's
    if a group of that name has offsets, or is none of this client's business.
    """
    everything = await transport.topics()
    named = [name for name in everything if name.startswith(f"{app_id}-") and name.endswith(_INTERNAL)]
    rest = {name: name.removeprefix(f"{app_id}-").split("-")[:-1] for name in named if name not in known}
    longer = {f"{app_id}-{'-'.join(words[:n])}" for words in rest.values() for n in range(1, len(words))}
    if not longer:
        return named
    infos = await transport.describe(everything)
    tps = [TopicPartition(info.name, partition) for info in infos.values() for partition in range(info.partitions)]
    others = tuple([f"{group}-" for group in longer if await _is_in_use(transport, group, tps)])
    return [name for name in named if name in known or not name.startswith(others)]


async def _is_in_use(transport: Transport, group: str, tps: Iterable[TopicPartition]) -> bool:
    """Whether a group has offsets; one that nothing may be known of is somebody's."""
    try:
        return any((await transport.committed(group, tps)).values())
    except NotAllowedError:
        return True


def position_topic(app_id: str, source: str) -> str:
    """Where a source's position is kept."""
    return f"{app_id}-{source}-position"
