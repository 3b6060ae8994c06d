"""select_key: a new key for each record; the value stays."""

from __future__ import annotations

from typing import Any

from streams.batch import Batch
from streams.expressions import Expression
from streams.graph.nodes import SelectKeyNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import Calls, left_over
from streams.operators.evaluation import Evaluation


class SelectKeyOperator(Operator[SelectKeyNode]):
    def __init__(self, node: SelectKeyNode, context: TaskContext) -> None:
        super().__init__(node, context)
        function = node.function
        self._expression = Evaluation(function, node, context) if isinstance(function, Expression) else None
        self._calls = None if isinstance(function, Expression) else Calls(function, node, context)

    def process(self, batch: Batch) -> Batch | None:
        if self._expression is None:
            assert self._calls is not None
            return self._calls.run(batch, lambda results: self._keyed(batch, results))
        column = self._expression.column(batch)
        if column is None:
            return self._expression.rows(batch, lambda results: self._keyed(batch, results))
        return batch.with_keys(column.to_list())

    def _keyed(self, batch: Batch, results: list[Any]) -> Batch | None:
        kept, keys = left_over(batch, results)
        return kept.with_keys(keys) if keys else None
