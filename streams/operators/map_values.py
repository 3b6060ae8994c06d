"""map_values: a new value for each record; the key stays."""

from __future__ import annotations

from typing import Any

from streams.batch import Batch
from streams.expressions import Expression
from streams.graph.nodes import MapValuesNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import Calls, left_over
from streams.operators.evaluation import Evaluation


class MapValuesOperator(Operator[MapValuesNode]):
    def __init__(self, node: MapValuesNode, context: TaskContext) -> None:
        super().__init__(node, context)
        function = node.function
        self._expression = Evaluation(function, node, context) if isinstance(function, Expression) else None
        self._calls = None if isinstance(function, Expression) else Calls(function, node, context)

    def process(self, batch: Batch) -> Batch | None:
        if self._expression is None:
            assert self._calls is not None
            return self._calls.run(batch, lambda results: self._mapped(batch, results))
        column = self._expression.column(batch)
        if column is None:
            return self._expression.rows(batch, lambda results: self._mapped(batch, results))
        return batch.with_values(column.to_list(), self.node.value_type)

    def _mapped(self, batch: Batch, results: list[Any]) -> Batch | None:
        kept, values = left_over(batch, results)
        return kept.with_values(values, self.node.value_type) if values else None
