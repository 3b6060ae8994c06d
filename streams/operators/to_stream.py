"""table.to_stream, where a join of tables may have deleted what was not there: such changes are for tables only."""

from __future__ import annotations

from streams.batch import Batch
from streams.graph.nodes import ToStreamNode
from streams.operators.base import Operator


class ToStreamOperator(Operator[ToStreamNode]):
    def process(self, batch: Batch) -> Batch | None:
        if batch.idle is None:
            return batch
        return None if batch.idle.all() else batch.take(~batch.idle).with_idle(None)
