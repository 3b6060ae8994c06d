"""filter, filter_not: records for which the predicate holds go on."""

from __future__ import annotations

from typing import Any

import numpy as np

from streams.batch import Batch
from streams.expressions import Expression
from streams.graph.nodes import FilterNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import FAILED, Calls
from streams.operators.evaluation import Evaluation


class FilterOperator(Operator[FilterNode]):
    """An expression that is None for a record drops it, negated or not."""

    def __init__(self, node: FilterNode, context: TaskContext) -> None:
        super().__init__(node, context)
        predicate = node.predicate
        self._expression = Evaluation(predicate, node, context) if isinstance(predicate, Expression) else None
        self._calls = None if isinstance(predicate, Expression) else Calls(predicate, node, context)

    def process(self, batch: Batch) -> Batch | None:
        if self._expression is None:
            assert self._calls is not None
            return self._calls.run(batch, lambda results: self._keep(batch, results))
        column = self._expression.column(batch)
        if column is None:
            return self._expression.rows(batch, lambda results: self._keep(batch, results, none_drops=True))
        mask = column.truth()
        if self.node.negate:
            mask = ~mask if column.valid is None else ~mask & column.valid
        return _taken(batch, mask)

    def _keep(self, batch: Batch, results: list[Any], *, none_drops: bool = False) -> Batch | None:
        negate = self.node.negate
        kept = (r is not FAILED and not (none_drops and r is None) and bool(r) is not negate for r in results)
        return _taken(batch, np.fromiter(kept, np.bool_, len(results)))


def _taken(batch: Batch, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> Batch | None:
    return batch.take(mask) if mask.any() else None
