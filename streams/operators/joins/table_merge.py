"""join, left_join, outer_join of two tables: both sides as one table (Kafka Streams' `KTableKTableJoinMerger`).

A table that the user did not ask to be kept is computed from the two whenever somebody looks into it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from streams.batch import Batch, no_offsets
from streams.graph.nodes import TableMergeNode
from streams.operators.base import Found, Operator, TaskContext
from streams.operators.calls import FAILED, LeftOutBefore
from streams.operators.joins.table_rows import TableRows
from streams.operators.kept_table import KeptTable


class TableMergeOperator(Operator[TableMergeNode]):
    def __init__(self, node: TableMergeNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._rows = TableRows(node.joiner, node, context, LeftOutBefore())
        self._table: KeptTable | None = None

    def open(self) -> None:
        if self.node.store is not None:
            self._table = KeptTable(self.node.store, self.node, self.context)

    def process(self, batch: Batch) -> Batch | None:
        return batch if self._table is None else self._table.absorb(batch)

    def lookup(self, keys: Sequence[Any]) -> list[Found]:
        return self._computed(keys) if self._table is None else self._table.lookup(keys)

    def _computed(self, keys: Sequence[Any]) -> list[Found]:
        operators = self.context.operators
        lefts, rights = (operators[table.name].lookup(keys) for table in (self.node.left, self.node.right))
        pairs = [(left and left[0], right and right[0]) for left, right in zip(lefts, rights, strict=True)]
        times = [
            max((found[1] for found in (left, right) if found is not None), default=-1)
            for left, right in zip(lefts, rights, strict=True)
        ]
        made: list[Any] = []
        owns, others = [left for left, _ in pairs], [right for _, right in pairs]
        self._rows.run(self._asked(keys, times), owns, others, made.extend)
        return [None if row is None or row is FAILED else (row, time) for row, time in zip(made, times, strict=True)]

    def _asked(self, keys: Sequence[Any], times: list[int]) -> Batch:
        """The keys of a lookup as records, for the joiner's `ctx`: they come from no topic."""
        return Batch(
            offsets=no_offsets(len(keys)),
            timestamps=np.array(times, np.int64),
            keys=list(keys),
            partition=self.context.partition,
        )

    def save(self) -> Iterator[None]:
        if self._table is not None:
            yield from self._table.save()
