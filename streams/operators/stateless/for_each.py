"""for_each: calls the function with each record; nothing goes on."""

from __future__ import annotations

from streams.batch import Batch
from streams.graph.nodes import ForEachNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import Calls


class ForEachOperator(Operator[ForEachNode]):
    def __init__(self, node: ForEachNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._calls = Calls(node.function, node, context)

    def process(self, batch: Batch) -> Batch | None:
        return self._calls.run(batch, lambda results: None)
