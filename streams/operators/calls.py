"""The user's functions, called once for each record of a batch.

A function that raises asks the error policy (`Failures`) about its record. The calls made so far are kept, so a record
that is tried again after a back-off does not make the records before it run twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from streams.batch import Batch
from streams.graph.functions import UserFunction
from streams.graph.nodes import Node
from streams.operators.base import Blocked, TaskContext
from streams.operators.failures import TryAgain
from streams.operators.row_context import RowContext


class Failed:
    """Stands in a list of results for a record that the error policy left out."""


FAILED: Any = Failed()

Finish = Callable[[list[Any]], Batch | None]
Columns = list[list[Any]]
Mask = npt.NDArray[np.bool_]


class FailedCalls(Protocol):
    """What is asked about a record for which the function raised."""

    def handle(self, node: Node, batch: Batch, index: int, error: Exception) -> None:
        """Returns when the record is to be left out; raises TryAgain, or the error that stops the app."""


class LeftOutBefore:
    """Of values that turn up again: the error policy has decided about them when they came."""

    def handle(self, node: Node, batch: Batch, index: int, error: Exception) -> None:
        return


class Calls:
    """Calls `function` with each record of a batch: (value), (key, value), and `ctx=` where it asks."""

    def __init__(
        self, function: UserFunction, node: Node, context: TaskContext, failures: FailedCalls | None = None
    ) -> None:
        """`failures` says what happens when the function raises: the app's error policy, unless given."""
        self._function = function
        self._node = node
        self._context = context
        self._failures = failures or context.failures

    def run(self, batch: Batch, finish: Finish, columns: Columns | None = None) -> Batch | None:
        """`finish(results)`, with one result a record and FAILED for those left out. Raises Blocked while a retry
        backs off. `columns` are other arguments than value, or key and value: a list for each.
        """
        if columns is None:
            columns = [batch.values] if self._function.arity == 1 else [batch.keys, batch.values]
        return self._continue(batch, columns, finish, [])

    def _continue(self, batch: Batch, columns: Columns, finish: Finish, results: list[Any]) -> Batch | None:
        size = len(batch)
        while len(results) < size:
            try:
                self._call_from(batch, columns, results)
            except Exception as error:  # noqa: BLE001 - whatever the user's function raises goes to the error policy
                self._failed(batch, columns, finish, results, error)
        return finish(results)

    def _call_from(self, batch: Batch, columns: Columns, results: list[Any]) -> None:
        start = len(results)
        call = self._function.call
        left = [column[start:] for column in columns] if start else columns
        if self._function.wants_ctx:
            for arguments, ctx in zip(zip(*left, strict=True), self._contexts(batch, start), strict=True):
                results.append(call(*arguments, ctx=ctx))
            return
        results.extend(map(call, *left))  # keeps what it got when one of them raises
        if len(results) < len(batch):
            raise RuntimeError("the function raised StopIteration")

    def _contexts(self, batch: Batch, start: int) -> Iterator[RowContext]:
        return (RowContext(batch, index, self._context) for index in range(start, len(batch)))

    def _failed(self, batch: Batch, columns: Columns, finish: Finish, results: list[Any], error: Exception) -> None:
        if batch.headers_are_own:
            batch.set_headers(len(results), None)  # as they were, or a second try would add to what the first did
        try:
            self._failures.handle(self._node, batch, len(results), error)
        except TryAgain as again:
            delay = self._context.sleep(again.delay_s)
            raise Blocked(delay, lambda: self._continue(batch, columns, finish, results)) from None
        results.append(FAILED)


def holds(items: Iterable[Any], kind: type) -> bool:
    """Whether one of the items is of the class `kind` itself: the fastest way to look for None or FAILED in a list.

    `in` would ask each item whether it is equal, and arrays have no answer to that.
    """
    return kind in set(map(type, items))


def present(column: Sequence[Any]) -> Mask:
    """Where there is something and not None."""
    return np.fromiter((entry is not None for entry in column), np.bool_, len(column))


def spread(results: list[Any], there: Mask) -> list[Any]:
    """Results in the places that are there, None in the others.

    >>> spread([5, 6], np.array([True, False, True]))
    [5, None, 6]
    """
    if len(results) == len(there):
        return results
    left = iter(results)
    return [next(left) if here else None for here in there.tolist()]


def left_over(batch: Batch, results: list[Any]) -> tuple[Batch, list[Any]]:
    """The batch and its results without the records that failed."""
    if not holds(results, Failed):
        return batch, results
    kept = np.fromiter((result is not FAILED for result in results), np.bool_, len(results))
    return batch.take(kept), [result for result in results if result is not FAILED]
