"""A table that a step keeps of what it makes: its changes written as they come, and what each of them replaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from streams.batch import Batch
from streams.errors import EncodeError
from streams.graph.definitions import StoreDef
from streams.graph.nodes import Node
from streams.operators.base import NO_TIME, Found, TaskContext


class KeptTable:
    """The store of `node`'s table. Every view of the store sees each change at once. `marks_no_ops`: a deletion of what
    is not there is handed on as a no-op.
    """

    def __init__(self, store: StoreDef, node: Node, context: TaskContext, *, marks_no_ops: bool = False) -> None:
        self._marks_no_ops = marks_no_ops
        self._node = node
        self._context = context
        self._windowed = store.windowed
        self._observed = NO_TIME
        self._view = context.view(store)

    def absorb(self, changes: Batch) -> Batch:
        """Writes the changes, in order; gives them with what each replaces, where that is asked for and they do not
        say. A value that the table does not take goes to the error policy; left out there, it deletes what was before.
        """
        asks = self._node.sends_old and changes.olds is None
        no_ops = np.zeros(len(changes), np.bool_)
        values, olds = list(changes.values), changes.olds or []
        for row, (key, value, timestamp) in enumerate(changes.rows()):
            entry = self._view.entry_of(key)
            if asks:
                olds.append(self._view.read(entry, None))
            if self._marks_no_ops:
                no_ops[row] = value is None and self._view.read(entry, None) is None
            try:
                self._view.write(entry, value, timestamp, None)
            except EncodeError as error:
                self._context.failures.give_up(self._node, changes, row, error)
                self._view.write(entry, None, timestamp, None)
                values[row] = None
        if self._windowed and len(changes):
            self._observed = max(self._observed, int(changes.timestamps.max()))
        self._view.trim()
        taken = changes.with_values(values, changes.value_type)
        if taken.latest is not None:
            taken = taken.with_latest(None)  # here the last to come is the latest
        if self._marks_no_ops:
            taken = taken.with_no_ops(no_ops)
        return taken.with_olds(olds) if self._node.sends_old else taken

    def lookup(self, keys: Sequence[Any]) -> list[Found]:
        """As `Operator.lookup`."""
        return self._view.stamped(keys)

    def save(self) -> Iterator[None]:
        """As `Operator.save`."""
        if self._windowed and self._observed != NO_TIME:
            self._view.observe(self._node.name, self._context.stream_time(self._observed))
        yield from self._view.save()
