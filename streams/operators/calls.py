"""The user's functions, called once for each record of a batch.

A function that raises asks the error policy (`Failures`) about its record. The calls made so far are kept, so a record
that is tried again after a back-off does not make the records before it run twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from operator import is_
from typing import Any

import numpy as np

from streams.batch import Batch
from streams.graph.functions import UserFunction
from streams.graph.nodes import Node
from streams.operators.base import Blocked, TaskContext
from streams.operators.failures import TryAgain
from streams.operators.row_context import RowContext

FAILED: Any = object()
"""Stands in a list of results for a record that the error policy left out."""

Finish = Callable[[list[Any]], Batch | None]


class Calls:
    """Calls `function` with each record of a batch: (value), (key, value), and `ctx=` where it asks."""

    def __init__(self, function: UserFunction, node: Node, context: TaskContext) -> None:
        self._function = function
        self._node = node
        self._context = context

    def run(self, batch: Batch, finish: Finish) -> Batch | None:
        """`finish(results)`, with one result a record and FAILED for those left out. Raises Blocked while a retry
        backs off.
        """
        return self._continue(batch, finish, [])

    def _continue(self, batch: Batch, finish: Finish, results: list[Any]) -> Batch | None:
        size = len(batch)
        while len(results) < size:
            try:
                self._call_from(batch, results)
            except Exception as error:  # noqa: BLE001 - whatever the user's function raises goes to the error policy
                self._failed(batch, finish, results, error)
        return finish(results)

    def _call_from(self, batch: Batch, results: list[Any]) -> None:
        start = len(results)
        call, append = self._function.call, results.append
        if self._function.wants_ctx:
            for arguments, ctx in zip(self._arguments(batch, start), self._contexts(batch, start), strict=True):
                append(call(*arguments, ctx=ctx))
        elif self._function.arity == 1:
            for value in batch.values[start:] if start else batch.values:
                append(call(value))
        else:
            for arguments in self._arguments(batch, start):
                append(call(*arguments))

    def _arguments(self, batch: Batch, start: int) -> Iterable[tuple[Any, ...]]:
        if self._function.arity == 1:
            return zip(batch.values[start:])
        return zip(batch.keys[start:], batch.values[start:], strict=True)

    def _contexts(self, batch: Batch, start: int) -> Iterator[RowContext]:
        return (RowContext(batch, index, self._context) for index in range(start, len(batch)))

    def _failed(self, batch: Batch, finish: Finish, results: list[Any], error: Exception) -> None:
        try:
            self._context.failures.handle(self._node, batch, len(results), error)
        except TryAgain as again:
            delay = self._context.sleep(again.delay_s)
            raise Blocked(delay, lambda: self._continue(batch, finish, results)) from None
        results.append(FAILED)


def holds(items: Iterable[Any], one: Any) -> bool:
    """Whether `one` itself is among the items. `in` would ask each whether it is equal, and arrays have no answer."""
    return any(map(is_, items, repeat(one)))


def left_over(batch: Batch, results: list[Any]) -> tuple[Batch, list[Any]]:
    """The batch and its results without the records that failed."""
    if not holds(results, FAILED):
        return batch, results
    kept = np.fromiter((result is not FAILED for result in results), np.bool_, len(results))
    return batch.take(kept), [result for result in results if result is not FAILED]
