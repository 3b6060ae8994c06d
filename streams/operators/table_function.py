"""What a step on a table asks of values: of new ones once, of the same again when they are replaced or looked up.

The function is not asked about null values. One for which it raises goes to the error policy when it comes; left out
there, it is nothing wherever it turns up again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.batch import Batch
from streams.expressions import Expression
from streams.graph.functions import UserFunction
from streams.graph.nodes import Node
from streams.operators.base import TaskContext
from streams.operators.calls import LeftOutBefore, present, spread
from streams.operators.evaluation import Evaluation


class TableFunction:
    """One function or expression of one step: answers are None for values that are, FAILED for those left out."""

    def __init__(self, asked: UserFunction | Expression, node: Node, context: TaskContext) -> None:
        self._first = Evaluation(asked, node, context)
        self._again = Evaluation(asked, node, context, LeftOutBefore())

    def run(self, batch: Batch, finish: Callable[[list[Any]], Batch | None]) -> Batch | None:
        """`finish(answers)`, one a value of the batch."""
        there = present(batch.values)
        return self._first.run(batch.take(there), lambda answers: finish(spread(answers, there)))

    def again(self, batch: Batch) -> list[Any]:
        """The answers about values that have come before."""
        there = present(batch.values)
        answers: list[Any] = []
        self._again.run(batch.take(there), answers.extend)
        return spread(answers, there)
