"""filter, filter_not: records for which the predicate holds go on."""

from __future__ import annotations

from typing import Any

import numpy as np

from streams.batch import Batch
from streams.columns import Column
from streams.expressions import Expression
from streams.graph.nodes import FilterNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import FAILED
from streams.operators.evaluation import Evaluation


class FilterOperator(Operator[FilterNode]):
    """An expression that is None for a record drops it, negated or not."""

    def __init__(self, node: FilterNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._predicate = Evaluation(node.predicate, node, context)
        self._none_drops = isinstance(node.predicate, Expression)

    def process(self, batch: Batch) -> Batch | None:
        column = self._predicate.column(batch)
        if column is None:
            return self._predicate.rows(batch, lambda results: self._keep(batch, results))
        return self._keep_by_column(batch, column)

    def _keep_by_column(self, batch: Batch, column: Column) -> Batch | None:
        mask = column.truth()
        if self.node.negate:
            mask = ~mask if column.valid is None else ~mask & column.valid
        return _taken(batch, mask)

    def _keep(self, batch: Batch, results: list[Any]) -> Batch | None:
        negate, none_drops = self.node.negate, self._none_drops
        kept = (r is not FAILED and not (none_drops and r is None) and bool(r) is not negate for r in results)
        return _taken(batch, np.fromiter(kept, np.bool_, len(results)))


def _taken(batch: Batch, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> Batch | None:
    return batch.take(mask) if mask.any() else None
