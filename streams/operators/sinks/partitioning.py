"""A batch to a topic, each record into the partitions that a function of the user's chooses
(`StreamPartitioner.partitions` in Kafka Streams, KIP-837).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from streams.batch import Batch
from streams.graph.definitions import TopicDef
from streams.graph.functions import UserFunction
from streams.graph.nodes import Node
from streams.operators.base import TaskContext
from streams.operators.calls import Calls, left_over
from streams.operators.encoding import RecordEncoder


class PartitionedWriter:
    """Writes batches to one topic. The function gives None (the key decides), a partition, or several; with none of
    them the record is left out, and counted. A number that is no partition of the topic goes to the error policy.
    """

    def __init__(self, topic: TopicDef, partitioner: UserFunction, node: Node, context: TaskContext) -> None:
        self._encoder = RecordEncoder(topic, node, context.outputs, context.failures)
        self._count = context.outputs.partitions(topic.name)
        self._topic = topic
        self._partitioner = partitioner
        self._calls = Calls(partitioner.calling(self._checked), node, context)
        self._node = node
        self._context = context

    def write(self, batch: Batch) -> None:
        """Adds the records to the outputs. Raises Blocked while a retry backs off."""
        counts = [self._count] * len(batch)
        columns = [batch.values, counts] if self._partitioner.arity == 2 else [batch.keys, batch.values, counts]
        self._calls.run(batch, lambda results: self._spread(batch, results), columns)

    def _checked(self, *arguments: Any, **named: Any) -> list[int | None]:
        chosen = self._partitioner.call(*arguments, **named)
        if chosen is None:
            return [None]
        found = list(dict.fromkeys(chosen)) if isinstance(chosen, Iterable) else [chosen]
        for one in found:
            if isinstance(one, bool) or not isinstance(one, int | np.integer) or not 0 <= one < self._count:
                raise ValueError(f"{one!r} is no partition of {self._topic.name!r}, which has {self._count}")
        return [int(one) for one in found]

    def _spread(self, batch: Batch, results: list[Any]) -> None:
        batch, chosen = left_over(batch, results)
        self._context.failures.dropped(self._node, "no_partition", sum(not found for found in chosen))
        for partition in dict.fromkeys(one for found in chosen for one in found):
            mask = np.fromiter((partition in found for found in chosen), np.bool_, len(chosen))
            self._encoder.write(batch.take(mask), partition)


def writer_for(
    topic: TopicDef, partitioner: UserFunction | None, node: Node, context: TaskContext
) -> RecordEncoder | PartitionedWriter:
    """What writes a step's records to a topic."""
    if partitioner is None:
        return RecordEncoder(topic, node, context.outputs, context.failures)
    return PartitionedWriter(topic, partitioner, node, context)
