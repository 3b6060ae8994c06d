"""The writing half of a repartition: records go to an internal topic by their key; records without a key are left out
and counted, unless the step behind takes them.
"""

from __future__ import annotations

from types import NoneType

from streams.batch import Batch
from streams.graph.nodes import RepartitionNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import holds
from streams.operators.drops import with_key
from streams.operators.keyless import tagged
from streams.operators.sinks.partitioning import writer_for


class RepartitionOperator(Operator[RepartitionNode]):
    def __init__(self, node: RepartitionNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._writer = writer_for(node.topic, node.partitioner, node, context)

    def process(self, batch: Batch) -> Batch | None:
        if not self.node.keyless:
            batch = with_key(batch, self.node, self.context.failures)
        elif holds(batch.keys, NoneType):
            batch = tagged(batch)
        if len(batch):
            self._writer.write(batch)
        return None
