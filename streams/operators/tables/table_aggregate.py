"""table.group_by(...).aggregate, reduce, count: what a row was is taken out of its group, what it is put in.

The rules are Kafka Streams' (`KTableAggregate`, `KTableReduce`): first the old value is subtracted, where the group has
anything; then the new one is added, to `initial` where it has not. A group whose aggregate is None is deleted. Its
timestamp is the largest of those folded in since it began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from streams.batch import Batch, no_offsets
from streams.graph.functions import UserFunction
from streams.graph.nodes import TableAggregateNode
from streams.operators.base import PIECE_ROWS, Found, Operator, TaskContext
from streams.operators.calls import Calls, left_over
from streams.serde.changes import Change


class _Changed(NamedTuple):
    """A group that has changed since the last commit, and what was emitted of it then."""

    key: Any
    timestamp: int
    emitted: Any


class TableAggregateOperator(Operator[TableAggregateNode]):
    def __init__(self, node: TableAggregateNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._emit = context.emission(node.name, node.emit)
        self._add, self._subtract = _keyed(node.fold.add), _keyed(node.fold.subtract)
        whole = node.fold.add.calling(self._fold)
        whole.wants_ctx = node.fold.add.wants_ctx or node.fold.subtract.wants_ctx
        self._calls = Calls(whole, node, context)
        self._changed: dict[bytes, _Changed] = {}
        self._leaving: Iterator[tuple[bytes, _Changed]] = iter(())

    def open(self) -> None:
        self._table = self.context.view(self.node.store)

    def process(self, batch: Batch) -> Batch | None:
        self._table.trim()
        columns = [batch.keys, batch.values, batch.timestamps.tolist()]
        return self._calls.run(batch, lambda results: self._folded(batch, results), columns)

    def _fold(self, key: Any, change: Change, timestamp: int, **ctx: Any) -> tuple[Any, Any, int]:
        """One change: the group's new value, the one before, and its timestamp."""
        table, initial = self._table, self.node.fold.initial
        entry = table.entry_of(key)
        state = table.read(entry, None)
        before = table.read(entry, None) if self.node.sends_old else None
        if state is not None:
            timestamp = max(timestamp, table.stamp(entry) or 0)
            if change.old is not None:
                state = self._subtract(key, state, change.old, **ctx)
        if change.new is not None:
            if state is None and initial is None:
                state = change.new
            else:
                state = self._add(key, initial() if state is None and initial else state, change.new, **ctx)
        table.write(entry, state, timestamp, None)
        if self._emit == "commit":
            first = self._changed.get(entry)
            self._changed[entry] = _Changed(key, timestamp, before if first is None else first.emitted)
        return state, before, timestamp

    def _folded(self, batch: Batch, results: list[Any]) -> Batch | None:
        kept, results = left_over(batch, results)
        if self._emit == "commit" or not results:
            return None
        news, olds, timestamps = (list(column) for column in zip(*results, strict=True))
        made = Batch(
            offsets=kept.offsets,
            timestamps=np.array(timestamps, np.int64),
            keys=kept.keys,
            values=news,
            headers=kept.headers,
            topic=kept.topic,
            partition=kept.partition,
            value_type=self.node.store.value_type,
            origin=kept.origin,
        )
        return made.with_olds(olds) if self.node.sends_old else made

    def lookup(self, keys: Sequence[Any]) -> list[Found]:
        return self._table.stamped(keys)

    # -- commit

    def flush(self) -> Batch | None:
        self._leaving = iter(self._changed.items())
        self._changed = {}
        return self.more()

    def more(self) -> Batch | None:
        leaving = list(islice(self._leaving, PIECE_ROWS))
        if not leaving:
            return None
        made = Batch(
            offsets=no_offsets(len(leaving)),
            timestamps=np.array([changed.timestamp for _, changed in leaving], np.int64),
            keys=[changed.key for _, changed in leaving],
            values=[self._table.read(entry, None) for entry, _ in leaving],
            partition=self.context.partition,
            value_type=self.node.store.value_type,
        )
        return made.with_olds([changed.emitted for _, changed in leaving]) if self.node.sends_old else made

    def save(self) -> Iterator[None]:
        yield from self._table.save()


def _keyed(function: UserFunction) -> Callable[..., Any]:
    """The function as one of (key, aggregate, value)."""
    call = function.call

    def without_context(*arguments: Any, ctx: Any = None) -> Any:
        return call(*arguments)

    def with_context(*arguments: Any, ctx: Any) -> Any:
        return call(*arguments, ctx=ctx)

    inner = with_context if function.wants_ctx else without_context
    return inner if function.arity == 3 else lambda key, *arguments, **ctx: inner(*arguments, **ctx)
