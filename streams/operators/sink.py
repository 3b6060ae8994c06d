"""to: writes records to a topic."""

from __future__ import annotations

from typing import Any

from streams.batch import Batch
from streams.errors import TopologyError
from streams.graph.definitions import TopicDef
from streams.graph.nodes import SinkNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import Calls, left_over
from streams.operators.encoding import RecordEncoder


class SinkOperator(Operator[SinkNode]):
    """A fixed topic, or the one whose name the user's function gives for each record."""

    def __init__(self, node: SinkNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._encoders: dict[str, RecordEncoder] = {}
        self._choose = None if node.choose is None else Calls(node.choose, node, context)

    def process(self, batch: Batch) -> Batch | None:
        if self._choose is not None:
            return self._choose.run(batch, lambda names: self._write_chosen(batch, names))
        assert self.node.topic is not None
        self._write(self.node.topic, batch)
        return None

    def _write_chosen(self, batch: Batch, results: list[Any]) -> None:
        import numpy as np

        batch, names = left_over(batch, results)
        for name in dict.fromkeys(names):
            mask = np.fromiter((other == name for other in names), np.bool_, len(names))
            self._write(self._topic(name), batch.take(mask))

    def _topic(self, name: str) -> TopicDef:
        topic = (self.node.topics or {}).get(name)
        if topic is None:
            raise TopologyError(
                f"{self.node.name}: the function gave the topic name {name!r}, which the app does not declare; "
                f"add app.topic({name!r})"
            )
        return topic

    def _write(self, topic: TopicDef, batch: Batch) -> None:
        encoder = self._encoders.get(topic.name)
        if encoder is None:
            encoder = self._encoders[topic.name] = RecordEncoder(
                topic, self.node, self.context.outputs, self.context.failures
            )
        encoder.write(batch)
