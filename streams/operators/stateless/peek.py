"""peek: calls the function with each record and hands the record on."""

from __future__ import annotations

from typing import Any

from streams.batch import Batch
from streams.graph.nodes import PeekNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import Calls, left_over


class PeekOperator(Operator[PeekNode]):
    def __init__(self, node: PeekNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._calls = Calls(node.function, node, context)

    def process(self, batch: Batch) -> Batch | None:
        return self._calls.run(batch, lambda results: self._seen(batch, results))

    def _seen(self, batch: Batch, results: list[Any]) -> Batch | None:
        kept, _ = left_over(batch, results)
        return kept if len(kept) else None
