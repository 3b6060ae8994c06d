"""map: a new (key, value) for each record."""

from __future__ import annotations

from typing import Any

from streams.batch import Batch
from streams.graph.nodes import MapNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import Calls, left_over
from streams.operators.pairs import checked


class MapOperator(Operator[MapNode]):
    def __init__(self, node: MapNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._calls = Calls(checked(node.function, "map", many=False), node, context)

    def process(self, batch: Batch) -> Batch | None:
        return self._calls.run(batch, lambda results: self._mapped(batch, results))

    def _mapped(self, batch: Batch, results: list[Any]) -> Batch | None:
        kept, pairs = left_over(batch, results)
        if not pairs:
            return None
        keys, values = zip(*pairs, strict=True)
        return kept.with_values(list(values), self.node.value_type).with_keys(list(keys))
