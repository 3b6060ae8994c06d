"""Column expressions over a batch: on columns where that gives exactly the rows' answer, else row by row."""

from __future__ import annotations

from streams.batch import Batch
from streams.columns import Column
from streams.expressions import Expression, NeedsRows
from streams.graph.functions import UserFunction
from streams.graph.nodes import Node
from streams.operators.base import TaskContext
from streams.operators.calls import Calls, Finish


class Evaluation:
    """One expression of one step. `rows_batches` counts the batches that had to go by rows."""

    def __init__(self, expression: Expression, node: Node, context: TaskContext) -> None:
        self._expression = expression
        by_row = UserFunction(expression.evaluate_row, step=node.kind, takes=1)
        self._calls = Calls(by_row, node, context)
        self.rows_batches = 0

    def column(self, batch: Batch) -> Column | None:
        """The expression's values, or None when only rows give the exact answer."""
        fields = getattr(batch.value_type, "__struct_fields__", None)
        if fields is None:
            return None
        try:
            return self._expression.evaluate_columns({name: batch.column(name) for name in self._expression.fields})
        except NeedsRows:
            self.rows_batches += 1
            return None

    def rows(self, batch: Batch, finish: Finish) -> Batch | None:
        """`finish` with the expression's value for each record, row by row."""
        return self._calls.run(batch, finish)
