"""What every join of a stream with a table does with the rows that it has found (Kafka Streams'
`KStreamKTableJoinProcessor`): an inner join leaves out records that found none, the joiner is called with the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any

from streams.batch import Batch
from streams.columns import Column, column_from_rows
from streams.expressions import Making, NeedsRows
from streams.expressions.sides import SidedExpression
from streams.graph.functions import UserFunction
from streams.graph.nodes import BufferedTableJoinNode, GlobalTableJoinNode, TableJoinNode
from streams.operators.base import TaskContext
from streams.operators.calls import Calls, holds, left_over, present
from streams.operators.drops import present_only
from streams.spans import Spans

if TYPE_CHECKING:
    from streams.operators.joins.looked_up import LookedUp


class JoinedRows:
    """The joiner of one step."""

    def __init__(self, node: TableJoinNode | BufferedTableJoinNode | GlobalTableJoinNode, context: TaskContext) -> None:
        self._node = node
        self._context = context
        joiner = node.joiner
        self._expression = joiner if isinstance(joiner, SidedExpression) else None
        function = (
            joiner if isinstance(joiner, UserFunction) else UserFunction(joiner.row_function, step=node.kind, takes=3)
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

    @property
    def right_type(self) -> Any:
        """The type of the table's values, as far as the joiner knows it."""
        return None if self._expression is None else self._expression.right

    def takes_columns(self, batch: Batch) -> bool:
        """Whether the joiner can run on columns, and those of the batch are there."""
        asked = self._expression
        if asked is None or not batch.has_columns(asked.left_fields):
            return False
        return not isinstance(asked.expression, Making) or asked.expression.by_row_only is None

    def on_columns(self, batch: Batch, rows: LookedUp, keys: Spans) -> Batch | None:
        """The results as columns, with the table's row of each of the `keys`; no record where none has a row. None
        where only rows give the exact answer.
        """
        asked = self._expression
        assert asked is not None
        codes, there = rows.find(keys)
        if not self._node.left and not there.all():
            batch, codes = batch.take(there), codes[there]
        if not len(batch):
            return batch
        try:
            columns = asked.columns(batch.column, lambda field: rows.column(field)[codes])
            if isinstance(asked.expression, Making):
                making = asked.expression
                return batch.with_columns(making.evaluate_fields(columns, len(batch)), making.kind)
            results = asked.expression.evaluate_columns(columns).to_list()
        except NeedsRows:
            return None
        return batch.with_values(results, self._node.value_type)

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
