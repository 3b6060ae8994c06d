"""map_values: a new value for each record; the key stays."""

from __future__ import annotations

from typing import Any

from streams.batch import Batch
from streams.graph.nodes import MapValuesNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import left_over
from streams.operators.evaluation import Evaluation


class MapValuesOperator(Operator[MapValuesNode]):
    def __init__(self, node: MapValuesNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._function = Evaluation(node.function, node, context)

    def process(self, batch: Batch) -> Batch | None:
        fields = self._function.fields(batch)
        if fields is not None:
            return batch.with_columns(*fields, batch.present)
        return self._function.run(batch, lambda results: self._mapped(batch, results))

    def _mapped(self, batch: Batch, results: list[Any]) -> Batch | None:
        kept, values = left_over(batch, results)
        return kept.with_values(values, self.node.value_type) if values else None
