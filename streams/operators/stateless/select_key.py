"""select_key: a new key for each record; the value stays."""

from __future__ import annotations

from typing import Any

from streams.batch import Batch
from streams.graph.nodes import SelectKeyNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import left_over
from streams.operators.evaluation import Evaluation


class SelectKeyOperator(Operator[SelectKeyNode]):
    def __init__(self, node: SelectKeyNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._function = Evaluation(node.function, node, context)

    def process(self, batch: Batch) -> Batch | None:
        return self._function.run(batch, lambda results: self._keyed(batch, results))

    def _keyed(self, batch: Batch, results: list[Any]) -> Batch | None:
        kept, keys = left_over(batch, results)
        return kept.with_keys(keys) if keys else None
