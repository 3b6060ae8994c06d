"""to: writes records to a topic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from streams.batch import Batch
from streams.errors import TopologyError, did_you_mean
from streams.graph.definitions import TopicDef
from streams.graph.nodes import SinkNode
from streams.operators.base import Blocked, Operator, TaskContext
from streams.operators.calls import Calls, left_over
from streams.operators.encoding import RecordEncoder
from streams.operators.sinks.partitioning import PartitionedWriter, writer_for


class SinkOperator(Operator[SinkNode]):
    """A fixed topic, or the one whose name the user's function gives for each record."""

    def __init__(self, node: SinkNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._writers: dict[str, RecordEncoder | PartitionedWriter] = {}
        self._choose = None if node.choose is None else Calls(node.choose, node, context)

    def process(self, batch: Batch) -> Batch | None:
        if self._choose is not None:
            return self._choose.run(batch, lambda names: self._write_chosen(batch, names))
        assert self.node.topic is not None
        self._write(self.node.topic, batch)
        return None

    def _write_chosen(self, batch: Batch, results: list[Any]) -> None:
        batch, names = left_over(batch, results)
        for name in names:
            self._topic(name)
        self._write_each(batch, names, iter(dict.fromkeys(names)), lambda: None)

    def _write_each(self, batch: Batch, names: list[str], left: Iterator[str], work: Callable[[], object]) -> None:
        """The rest of the topics behind `work`, which may have to wait, as each of them may."""
        while True:
            try:
                work()
            except Blocked as blocked:
                rest = partial(self._write_each, batch, names, left, blocked.resume)
                raise Blocked(blocked.awaitable, rest) from None
            name = next(left, None)
            if name is None:
                return
            mask = np.fromiter((other == name for other in names), np.bool_, len(names))
            work = partial(self._write, self._topic(name), batch.take(mask))

    def _topic(self, name: str) -> TopicDef:
        known = self.node.topics or {}
        if name not in known:
            do = (
                f"add app.topic({name!r})"
                if isinstance(name, str)
                else "give a name, and filter(...) what has no topic"
            )
            near = did_you_mean(name, known) if isinstance(name, str) else ""
            raise TopologyError(
                f"{self.node.name} at {self.node.where}: the function gave the topic name {name!r}, which the app does "
                f"not declare; {do}.{near}"
            )
        return known[name]

    def _write(self, topic: TopicDef, batch: Batch) -> None:
        writer = self._writers.get(topic.name)
        if writer is None:
            writer = self._writers[topic.name] = writer_for(topic, self.node.partitioner, self.node, self.context)
        writer.write(batch)
