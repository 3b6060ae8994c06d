"""What the workers of an app share among them: its tasks and sources, and the partitions that each of these reads."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING

from streams.graph.plan import Plan
from streams.runtime.assign.assignor import TaskInfo
from streams.runtime.ingest import named
from streams.runtime.topics import Topics, position_topic
from streams.transport.contract import TopicPartition

if TYPE_CHECKING:
    from streams.app import App


class Inventory:
    """`tasks` in the order of the plan, `topics` that they read, `sources` those tasks that are sources;
    `topology` is the same for workers that agree on all of this.
    """

    def __init__(self, app: App, plan: Plan, topics: Topics) -> None:
        self.tasks: list[TaskInfo] = []
        self.partitions: dict[str, list[TopicPartition]] = {}
        for sub in plan.subtopologies:
            read = [source.topic.name for source in sub.sources]
            for partition in range(topics.tasks[sub.id]):
                tps = [TopicPartition(name, partition) for name in read if partition < topics.partitions(name)]
                self._add(TaskInfo(sub.task_id(partition), sub.id, bool(sub.stores)), tps)
        self.sources = {named(source) for source in app.sources}
        for source in app.sources:
            tp = TopicPartition(position_topic(app.id, source.name), 0)
            self._add(TaskInfo(named(source), named(source), False), [tp])
        self.topics = sorted({tp.topic for tps in self.partitions.values() for tp in tps})
        self.subs = tuple(dict.fromkeys(task.sub for task in self.tasks))
        stores = [store.name for sub in plan.subtopologies for store in sub.stores]
        steps = [node.name for sub in plan.subtopologies for node in sub.nodes]
        self.topology = blake2b(repr((self.tasks, stores, steps)).encode(), digest_size=8).hexdigest()

    def _add(self, task: TaskInfo, tps: list[TopicPartition]) -> None:
        self.tasks.append(task)
        self.partitions[task.id] = tps

    def partitions_of(self, tasks: Iterable[str]) -> list[TopicPartition]:
        """What these read, as Kafka's tools show it."""
        return [tp for task in tasks for tp in self.partitions.get(task, ())]
