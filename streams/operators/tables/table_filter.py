"""table.filter, table.filter_not: the rows for which the predicate holds.

A row that no longer matches is deleted. One that does not match and did not before gives nothing where that is known,
because old values are asked for; else it gives a deletion, as it does above a versioned table (Kafka Streams'
`KTableFilter`).
"""

from __future__ import annotations

from types import NoneType
from typing import Any

import numpy as np

from streams.batch import Batch
from streams.expressions import Expression
from streams.graph.nodes import TableFilterNode
from streams.graph.versions import is_versioned
from streams.operators.base import TaskContext
from streams.operators.calls import FAILED, holds
from streams.operators.tables.derived_table import DerivedTable


class TableFilterOperator(DerivedTable[TableFilterNode]):
    """An expression that is None for a row does not match, negated or not."""

    def __init__(self, node: TableFilterNode, context: TaskContext) -> None:
        super().__init__(node, context, node.predicate, None)
        self._versioned = is_versioned(node.parents[0])
        self._none_drops = isinstance(node.predicate, Expression)

    def process(self, batch: Batch) -> Batch | None:
        self._value_type = batch.value_type
        return super().process(batch)

    def _values(self, values: list[Any], answers: list[Any]) -> list[Any]:
        negate, none_drops = self.node.negate, self._none_drops
        return [
            value
            if answer is not FAILED and not (none_drops and answer is None) and bool(answer) is not negate
            else None
            for value, answer in zip(values, answers, strict=True)
        ]

    def _changed(self, batch: Batch, values: list[Any]) -> Batch | None:
        changes = super()._changed(batch, values)
        if changes is None or changes.olds is None or self._versioned or not holds(changes.values, NoneType):
            return changes
        if not self.node.asked_old:
            return changes
        pairs = zip(changes.values, changes.olds, strict=True)
        told = np.fromiter((new is not None or old is not None for new, old in pairs), np.bool_, len(changes))
        return changes.take(told) if told.any() else None
