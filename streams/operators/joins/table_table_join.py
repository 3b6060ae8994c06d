"""join, left_join, outer_join of two tables: one side of it. Each change of a table together with what the other has
for its key.

The rules are Kafka Streams' (`KTableKTableInnerJoin`, `KTableKTableLeftJoin`, `KTableKTableRightJoin`,
`KTableKTableOuterJoin`): either side triggers, and the result's timestamp is the later of the two. A deletion of a
row that never was is marked as a no-op; Kafka Streams hands it on to everybody.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streams.arrays import Int64Array
from streams.batch import Batch
from streams.graph.nodes import TableTableJoinNode
from streams.operators.base import UNKNOWN_TIME, Operator, TaskContext
from streams.operators.calls import FAILED, LeftOutBefore
from streams.operators.drops import latest_only
from streams.operators.joins.table_rows import TableRows


class TableTableJoinOperator(Operator[TableTableJoinNode]):
    def __init__(self, node: TableTableJoinNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._rows = TableRows(node.joiner, node, context)
        self._again = TableRows(node.joiner, node, context, LeftOutBefore())

    def open(self) -> None:
        self._other = self.context.operators[self.node.other.name]

    def process(self, batch: Batch) -> Batch | None:
        batch = latest_only(batch, self.node, self.context.failures)
        found = self._other.lookup(batch.keys)
        olds = batch.olds or [None] * len(batch)
        rows = zip(batch.values, olds, found, strict=True)
        says = np.fromiter((self._says(new, old, other is not None) for new, old, other in rows), np.bool_, len(batch))
        if not says.any():
            return None
        changes = batch.take(says)
        met = [entry for entry, chosen in zip(found, says.tolist(), strict=True) if chosen]
        others = [None if entry is None else entry[0] for entry in met]
        times = [UNKNOWN_TIME if entry is None else entry[1] for entry in met]
        stamps = np.maximum(changes.timestamps, np.array(times, np.int64))
        sides = self._sides(changes.values, others)
        return self._rows.run(changes, *sides, lambda news: self._with_olds(changes, others, stamps, news))

    def _says(self, new: Any, old: Any, other: bool) -> bool:
        """Whether a change may make, change or end a row."""
        joiner = self.node.joiner
        if not other and (joiner.needs_right if self.node.is_left else joiner.needs_left):
            return False
        return other or new is not None or old is not None

    def _sides(self, owns: list[Any], others: list[Any]) -> tuple[list[Any], list[Any]]:
        return (owns, others) if self.node.is_left else (others, owns)

    def _with_olds(self, batch: Batch, others: list[Any], stamps: Int64Array, news: list[Any]) -> Batch | None:
        """The rows before the changes: where somebody asked for them, or where they tell whether there is anything to
        delete.
        """
        node = self.node
        wanted = [node.sends_old or (node.apart and (new is None or new is FAILED)) for new in news]
        owns = [old if want else None for old, want in zip(batch.olds or [None] * len(batch), wanted, strict=True)]
        met = [other if want else None for other, want in zip(others, wanted, strict=True)]
        sides = self._sides(owns, met)
        return self._again.run(batch, *sides, lambda olds: self._joined(batch, stamps, news, olds))

    def _joined(self, batch: Batch, stamps: Int64Array, news: list[Any], olds: list[Any]) -> Batch | None:
        news, olds = ([None if row is FAILED else row for row in rows] for rows in (news, olds))
        made = batch.with_values(news, self.node.joiner.value_type)
        made.timestamps = stamps
        if self.node.sends_old:
            made = made.with_olds(olds)
        if not self.node.apart:
            return made.with_no_ops(None)
        nothing = (new is None and old is None for new, old in zip(news, olds, strict=True))
        return made.with_no_ops(np.fromiter(nothing, np.bool_, len(news)))
