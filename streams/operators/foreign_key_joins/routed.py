"""The topics of a join by foreign key, the writing half: subscriptions go to the partition of the foreign key, answers
to the partition that asked.
"""

from __future__ import annotations

import numpy as np

from streams.batch import Batch
from streams.graph.nodes import RoutedNode
from streams.operators.base import Operator
from streams.operators.foreign_key_joins.foreign_keys import BY_KEY, read_route
from streams.partitioner import partition_for


class RoutedOperator(Operator[RoutedNode]):
    """Keys and values come as bytes."""

    def process(self, batch: Batch) -> Batch | None:
        count = self.context.outputs.partitions(self.node.topic.name)
        partitions = np.fromiter(
            (
                partition_for(key, count) if (to := read_route(value)) == BY_KEY else to % count
                for key, value in zip(batch.keys, batch.values, strict=True)
            ),
            np.int64,
            len(batch),
        )
        for partition in np.unique(partitions).tolist():
            self._write(batch.take(partitions == partition), partition)
        return None

    def _write(self, batch: Batch, partition: int) -> None:
        times = batch.timestamps.tolist()
        self.context.outputs.add(
            self.node.topic.name, batch.keys, batch.values, times, batch.headers, partition=partition
        )
