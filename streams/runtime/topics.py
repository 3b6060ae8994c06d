"""The topics of a plan: which are there, which have to be made, and with how many partitions.

A sub-topology has as many tasks as the largest of its source topics has partitions. Repartition topics that say nothing
take the number of the tasks that write them; changelogs have one partition a task.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.errors import PartitionCountError, StoreRenamedError, TopologyError
from streams.graph.definitions import KEPT_FOREVER, StoreDef, TopicDef
from streams.graph.plan import Plan, SubTopology, co_partitioned
from streams.transport.contract import TopicInfo, TopicMismatchError, TopicSpec, Transport

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
    ) -> None:
        self._plan = plan
        self._data_dir = data_dir
        self._transport = transport
        self._default_partitions = default_partitions
        self._positions = list(positions)
        self.infos: dict[str, TopicInfo] = {}
        self.tasks: dict[str, int] = {}
        """Sub-topology id to number of tasks."""

    async def prepare(self) -> None:
        """Makes the topics that are missing.

        Raises PartitionCountError, StoreRenamedError, or TopologyError when topics that are read together differ in
        partitions.
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
            if name in found and topic.partitions not in (None, found[name].partitions):
                raise PartitionCountError(name, expected=topic.partitions or 0, found=found[name].partitions)
        missing = [topic for name, topic in wanted.items() if name not in found]
        await self._ensure([TopicSpec(t.name, t.partitions or self._default_partitions, t.config) for t in missing])
        self.infos.update(found)

    async def _repartitions(self) -> None:
        """Counts flow from the sources along the graph, so sub-topologies are sized writers first."""
        waiting = list(self._plan.subtopologies)
        while waiting:
            ready = [sub for sub in waiting if all(source.topic.name in self.infos for source in sub.sources)]
            if not ready:
                raise TopologyError(
                    f"these sub-topologies feed one another in a circle: {', '.join(sub.id for sub in waiting)}; "
                    "give the repartition partitions="
                )
            for sub in ready:
                waiting.remove(sub)
                self.tasks[sub.id] = max(self.partitions(source.topic.name) for source in sub.sources)
                made = [node.topic for node in sub.repartitions]
                await self._ensure(
                    [TopicSpec(t.name, t.partitions or self.tasks[sub.id], t.config | REPARTITION_CONFIG) for t in made]
                )

    def _check_co_partitioned(self) -> None:
        for sub in self._plan.subtopologies:
            for group in co_partitioned(sub):
                counts = {topic.name: self.partitions(topic.name) for topic in group}
                if len(set(counts.values())) > 1:
                    listed = ", ".join(f"{name} has {count}" for name, count in counts.items())
                    raise TopologyError(
                        f"topics whose records meet by key need equal partition counts: {listed}. "
                        "Put .repartition(partitions=...) before the join."
                    )

    async def _changelogs(self) -> None:
        specs = [TopicSpec(name, self.tasks[sub.id], CHANGELOG_CONFIG) for sub, name in self._changelog_names()]
        specs += [TopicSpec(name, 1, CHANGELOG_CONFIG) for name in self._positions]
        await self._check_renamed({spec.name for spec in specs})
        await self._ensure(specs)

    def _changelog_names(self) -> list[tuple[SubTopology, str]]:
        stores = ((sub, store) for sub in self._plan.subtopologies for store in sub.stores)
        named = [(sub, store.changelog) for sub, store in stores if store.source_topic is None]
        return named + [
            (sub, clock.changelog) for sub in self._plan.subtopologies if (clock := clock_store(sub, self._plan.app_id))
        ]

    async def _check_renamed(self, declared: set[str]) -> None:
        prefix, suffix = f"{self._plan.app_id}-", "-changelog"
        for name in await self._transport.topics():
            # Clocks follow the sub-topology: they are ours, and going on without them costs nothing that a name could
            # save.
            if (
                name.startswith(prefix)
                and name.endswith(suffix)
                and name not in declared
                and not name.endswith("-clocks-changelog")
            ):
                store = name.removeprefix(prefix).removesuffix(suffix)
                raise StoreRenamedError(
                    store, data_dir=self._data_dir, names=[store.name for store in self._plan.stores.values()]
                )

    async def _ensure(self, specs: list[TopicSpec]) -> None:
        if not specs:
            return
        found = await self._transport.describe([spec.name for spec in specs])
        try:
            await self._transport.create([spec for spec in specs if spec.name not in found])
        except TopicMismatchError as error:
            raise PartitionCountError(error.topic, expected=error.wanted, found=error.found) from error
        for spec in specs:
            info = found.get(spec.name)
            if info is not None and info.partitions != spec.partitions:
                raise PartitionCountError(spec.name, expected=spec.partitions, found=info.partitions)
        self.infos.update(await self._transport.describe([spec.name for spec in specs]))


def clock_store(sub: SubTopology, app_id: str) -> StoreDef | None:
    """The store in which a sub-topology's tasks keep their times; None for one that has no use for time."""
    behind = any(source.topic.internal for source in sub.sources)
    if not (sub.stores or sub.repartitions or behind):
        return None
    name = f"{sub.id}-clocks"
    return StoreDef(name=name, changelog=f"{app_id}-{name}-changelog")


def position_topic(app_id: str, source: str) -> str:
    """Where a source's position is kept."""
    return f"{app_id}-{source}-position"


def repartition_topics(plan: Plan) -> list[TopicDef]:
    return [node.topic for sub in plan.subtopologies for node in sub.repartitions]
