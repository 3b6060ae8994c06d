"""Rows of two tables joined by the user's function, where the two have a row at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from streams.batch import Batch
from streams.graph.nodes import Node, TableJoiner
from streams.operators.base import TaskContext
from streams.operators.calls import Calls, FailedCalls, spread

Then = Callable[[list[Any]], Batch | None]


class TableRows:
    """The joiner of one step. `failures` says what happens when it raises: the app's error policy, unless given."""

    def __init__(
        self, joiner: TableJoiner, node: Node, context: TaskContext, failures: FailedCalls | None = None
    ) -> None:
        self._joiner = joiner
        self._calls = Calls(joiner.function, node, context, failures)

    def run(self, batch: Batch, lefts: list[Any], rights: list[Any], then: Then) -> Batch | None:
        """`then(rows)`: one for each record of the batch and its two values, None where they make none, FAILED where
        the error policy left the record out. Raises Blocked while a retry backs off.
        """
        rows = self._with_row(lefts, rights)
        if not rows:
            return then([None] * len(batch))
        chosen = np.zeros(len(batch), np.bool_)
        chosen[rows] = True
        part = batch.take(chosen)
        columns = self._columns(part, [lefts[row] for row in rows], [rights[row] for row in rows])
        return self._calls.run(part, lambda made: then(spread(made, chosen)), columns)

    def _with_row(self, lefts: list[Any], rights: list[Any]) -> list[int]:
        has_row = self._joiner.has_row
        return [row for row, pair in enumerate(zip(lefts, rights, strict=True)) if has_row(*pair)]

    def _columns(self, batch: Batch, lefts: list[Any], rights: list[Any]) -> list[list[Any]]:
        return [lefts, rights] if self._joiner.function.arity == 2 else [batch.keys, lefts, rights]
