"""flat_map: any number of (key, value) pairs for each record."""

from __future__ import annotations

from typing import Any

from streams.batch import Batch
from streams.graph.nodes import FlatMapNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import Calls, left_over
from streams.operators.pairs import checked


class FlatMapOperator(Operator[FlatMapNode]):
    def __init__(self, node: FlatMapNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._calls = Calls(checked(node.function, "flat_map", many=True), node, context)

    def process(self, batch: Batch) -> Batch | None:
        return self._calls.run(batch, lambda results: self._flattened(batch, results))

    def _flattened(self, batch: Batch, results: list[Any]) -> Batch | None:
        kept, lists = left_over(batch, results)
        index = [row for row, pairs in enumerate(lists) for _ in pairs]
        if not index:
            return None
        keys, values = zip(*(pair for pairs in lists for pair in pairs), strict=True)
        return kept.expand(index, list(keys), list(values), self.node.value_type)
