"""split: each record to the first branch whose predicate holds (`KStreamBranch` in Kafka Streams)."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from streams.batch import Batch
from streams.graph.nodes import SplitNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import FAILED
from streams.operators.evaluation import Evaluation


class SplitOperator(Operator[SplitNode]):
    """A predicate is asked only of the records that those before it left. What no branch takes is left out and counted,
    unless the last branch takes all.
    """

    def __init__(self, node: SplitNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._predicates = [Evaluation(predicate, node, context) for predicate in node.predicates]
        self._leaving: deque[tuple[str, Batch]] = deque()

    def process(self, batch: Batch) -> Batch | None:
        return self._ask(batch, 0)

    def _ask(self, batch: Batch, number: int) -> Batch | None:
        """The records that are left, by the predicates from `number` on."""
        if not len(batch):
            return self.more()
        if number == len(self._predicates):
            return self._rest(batch)
        return self._predicates[number].run(batch, lambda results: self._divide(batch, number, results))

    def _divide(self, batch: Batch, number: int, results: list[Any]) -> Batch | None:
        failed = np.fromiter((result is FAILED for result in results), np.bool_, len(results))
        held = np.fromiter((result is not FAILED and bool(result) for result in results), np.bool_, len(results))
        if held.any():
            self._leaving.append((self.node.branches[number], batch.take(held)))
        return self._ask(batch.take(~(held | failed)), number + 1)

    def _rest(self, batch: Batch) -> Batch | None:
        if len(self.node.branches) > len(self._predicates):
            self._leaving.append((self.node.branches[-1], batch))
        else:
            self.context.failures.dropped(self.node, "no_branch", len(batch))
        return self.more()

    def more(self) -> Batch | None:
        if not self._leaving:
            return None
        self.only_child, batch = self._leaving.popleft()
        return batch
