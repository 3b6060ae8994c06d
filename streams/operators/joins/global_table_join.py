"""join, left_join of a stream with a global table: each record with the table's row for the key that `key=` makes of
it. Key and timestamp of the result are the record's.

The rules are those of Kafka Streams' `KStreamGlobalKTableJoin`: a record for which the key is None is left out and
counted (with `left_join` it meets no row), one without value is left out; a record without a key of its own joins.
"""

from __future__ import annotations

from typing import Any

from streams.batch import Batch
from streams.graph.nodes import GlobalTableJoinNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import left_over
from streams.operators.evaluation import Evaluation
from streams.operators.joins.joined_rows import JoinedRows


class GlobalTableJoinOperator(Operator[GlobalTableJoinNode]):
    def __init__(self, node: GlobalTableJoinNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._key = Evaluation(node.key, node, context)
        self._joined = JoinedRows(node, context)

    def open(self) -> None:
        self._table = self.context.view(self.node.table)

    def process(self, batch: Batch) -> Batch | None:
        batch = self._joined.present(batch, "null_value", batch.values)
        return self._key.run(batch, lambda found: self._with_rows(batch, found)) if len(batch) else None

    def _with_rows(self, batch: Batch, found: list[Any]) -> Batch | None:
        batch, keys = left_over(batch, found)
        if not self.node.left:
            batch = self._joined.present(batch, "null_key", keys)
            keys = [key for key in keys if key is not None]
        return self._joined.run(batch, self._table.get_many(keys))
