"""The writing half of a repartition: records go to an internal topic by their key; records without a key are left out
and counted, unless the step behind takes them.
"""

from __future__ import annotations

import numpy as np

from streams.batch import Batch
from streams.graph.nodes import RepartitionNode
from streams.operators.base import Operator, TaskContext
from streams.operators.keyless import tagged
from streams.operators.sinks.partitioning import writer_for


class RepartitionOperator(Operator[RepartitionNode]):
    def __init__(self, node: RepartitionNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._writer = writer_for(node.topic, node.partitioner, node, context)

    def process(self, batch: Batch) -> Batch | None:
        keys = batch.keys
        if None in keys and self.node.keyless:
            batch = tagged(batch)
        elif None in keys:
            present = np.fromiter((key is not None for key in keys), np.bool_, len(keys))
            self.context.failures.dropped(self.node, "null_key", len(keys) - int(present.sum()))
            batch = batch.take(present)
        if len(batch):
            self._writer.write(batch)
        return None
