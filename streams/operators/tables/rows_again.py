"""What a step on a table asks of values: of new ones once, of the same again when they are replaced or looked up.

The function is not asked about null values. One for which it raises goes to the error policy when it comes; left out
there, it is nothing wherever it turns up again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from streams.batch import Batch
from streams.expressions import Expression
from streams.graph.functions import UserFunction
from streams.graph.nodes import Node
from streams.operators.base import TaskContext
from streams.operators.calls import LeftOutBefore
from streams.operators.evaluation import Evaluation


class RowsAgain:
    """One function or expression of one step: answers are None for values that are, FAILED for those left out."""

    def __init__(self, asked: UserFunction | Expression, node: Node, context: TaskContext) -> None:
        self._first = Evaluation(asked, node, context)
        self._again = Evaluation(asked, node, context, LeftOutBefore())

    def run(self, batch: Batch, finish: Callable[[list[Any]], Batch | None]) -> Batch | None:
        """`finish(answers)`, one a value of the batch."""
        present = _present(batch.values)
        return self._first.run(batch.take(present), lambda answers: finish(_spread(answers, present)))

    def again(self, batch: Batch) -> list[Any]:
        """The answers about values that have come before."""
        present = _present(batch.values)
        answers: list[Any] = []
        self._again.run(batch.take(present), answers.extend)
        return _spread(answers, present)


def _present(values: list[Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.fromiter((value is not None for value in values), np.bool_, len(values))


def _spread(answers: list[Any], present: np.ndarray[Any, np.dtype[np.bool_]]) -> list[Any]:
    """Answers in the places that are `present`, None in the others."""
    if len(answers) == len(present):
        return answers
    left = iter(answers)
    return [next(left) if here else None for here in present.tolist()]
