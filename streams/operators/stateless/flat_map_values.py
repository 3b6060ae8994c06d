"""flat_map_values: any number of values for each record; the key stays."""

from __future__ import annotations

from typing import Any

from streams.batch import Batch
from streams.graph.functions import UserFunction
from streams.graph.nodes import FlatMapValuesNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import Calls, left_over


class FlatMapValuesOperator(Operator[FlatMapValuesNode]):
    def __init__(self, node: FlatMapValuesNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._calls = Calls(_listed(node.function), node, context)

    def process(self, batch: Batch) -> Batch | None:
        return self._calls.run(batch, lambda results: self._flattened(batch, results))

    def _flattened(self, batch: Batch, results: list[Any]) -> Batch | None:
        kept, lists = left_over(batch, results)
        index = [row for row, values in enumerate(lists) for _ in values]
        if not index:
            return None
        keys = kept.keys
        values = [value for made in lists for value in made]
        return kept.expand(index, [keys[row] for row in index], values, self.node.value_type)


def _listed(function: UserFunction) -> UserFunction:
    """The same function with its answer as a list, so that a generator's errors belong to its record."""
    return function.calling(lambda *arguments, **named: list(function.call(*arguments, **named)))
