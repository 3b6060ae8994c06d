"""What every join of a stream with a table does with the rows that it has found (Kafka Streams'
`KStreamKTableJoinProcessor`): an inner join leaves out records that found none, the joiner is called with the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any

from streams.batch import Batch
from streams.columns import Column, column_from_rows
from streams.expressions import Making, NeedsRows
from streams.expressions.sides import SidedExpression
from streams.graph.functions import UserFunction
from streams.graph.nodes import BufferedTableJoinNode, GlobalTableJoinNode, TableJoinNode
from streams.operators.base import TaskContext
from streams.operators.calls import Calls, holds, left_over, present
from streams.operators.drops import present_only


class JoinedRows:
    """The joiner of one step."""

    def __init__(self, node: TableJoinNode | BufferedTableJoinNode | GlobalTableJoinNode, context: TaskContext) -> None:
        self._node = node
        self._context = context
        joiner = node.joiner
        self._expression = joiner if isinstance(joiner, SidedExpression) else None
        function = (
            joiner if isinstance(joiner, UserFunction) else UserFunction(joiner.evaluate_row, step=node.kind, takes=3)
        )
        self._with_key = function.arity == 3
        self._calls = Calls(function, node, context)

    def present(self, batch: Batch, reason: str, column: Sequence[Any]) -> Batch:
        """The records for which `column` is not None; the others are counted under `reason`."""
        return present_only(batch, self._node, self._context.failures, column, reason)

    def run(self, batch: Batch, rights: list[Any]) -> Batch | None:
        """The results, with the table's row (or None) for each record. Raises Blocked while a retry backs off."""
        if not self._node.left and holds(rights, NoneType):
            found = present(rights)
            batch = batch.take(found)
            rights = [right for right in rights if right is not None]
        if not len(batch):
            return None
        column = self._column(batch, rights)
        if column is not None:
            return self._joined(batch, column.to_list())
        pair = [batch.values, rights]
        columns = [batch.keys, *pair] if self._with_key else pair
        return self._calls.run(batch, lambda results: self._joined(batch, results), columns)

    def _column(self, batch: Batch, rights: list[Any]) -> Column | None:
        """The results of an expression as a column, or None where only rows give the exact answer."""
        asked = self._expression
        if asked is None or isinstance(asked.asked, Making) or not hasattr(batch.value_type, "__struct_fields__"):
            return None
        try:
            columns = asked.columns(batch.column, lambda field: column_from_rows(rights, field, asked.right))
            return asked.expression.evaluate_columns(columns)
        except NeedsRows:
            return None

    def _joined(self, batch: Batch, results: list[Any]) -> Batch | None:
        kept, values = left_over(batch, results)
        return kept.with_values(values, self._node.value_type) if values else None
