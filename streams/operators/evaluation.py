"""What a step asks of each record: the user's function, or a column expression.

An expression runs on columns where that gives exactly the rows' answer, else row by row; a function runs row by row.
"""

from __future__ import annotations

from streams.batch import Batch
from streams.columns import Column
from streams.expressions import Expression, Making, NeedsRows
from streams.graph.functions import UserFunction
from streams.graph.nodes import Node
from streams.kernels import compiled
from streams.operators.base import TaskContext
from streams.operators.calls import Calls, FailedCalls, Finish


class Evaluation:
    """One function or expression of one step."""

    def __init__(
        self,
        asked: UserFunction | Expression,
        node: Node,
        context: TaskContext,
        failures: FailedCalls | None = None,
    ) -> None:
        self._expression = asked if isinstance(asked, Expression) else None
        by_row = UserFunction(asked.row_function, step=node.kind, takes=1) if isinstance(asked, Expression) else asked
        self._calls = Calls(by_row, node, context, failures)

    def run(self, batch: Batch, finish: Finish) -> Batch | None:
        """`finish(results)`, one a record."""
        column = self.column(batch)
        return self.rows(batch, finish) if column is None else finish(column.to_list())

    def column(self, batch: Batch) -> Column | None:
        """The results as a column, or None when only rows give the exact answer."""
        return None if self._expression is None else column_of(self._expression, batch)

    def fields(self, batch: Batch) -> tuple[dict[str, Column], type] | None:
        """Of an expression that makes records, columns of their fields and their class; None when only rows give the
        exact answer, or are there already: a function of them then costs less.
        """
        making = self._expression
        if not isinstance(making, Making) or len(batch) < compiled.MANY_ROWS:
            return None
        if making.by_row_only or not batch.has_columns(making.fields):
            return None
        try:
            columns = {name: batch.column(name) for name in making.fields}
            return making.evaluate_fields(columns, len(batch)), making.kind
        except NeedsRows:
            return None

    def rows(self, batch: Batch, finish: Finish) -> Batch | None:
        """`finish(results)`, asked row by row."""
        return self._calls.run(batch, finish)


def column_of(asked: Expression, batch: Batch) -> Column | None:
    """An expression on the columns of a batch, or None when only rows give the exact answer."""
    if isinstance(asked, Making) or not hasattr(batch.value_type, "__struct_fields__"):
        return None
    try:
        return asked.evaluate_columns({name: batch.column(name) for name in asked.fields})
    except NeedsRows:
        return None
