"""Tables computed row by row from another: what `filter` and `map_values` of a table have in common.

A deletion above is one here. Old values come from the table's own store if it has one, else they are computed from
those above; so is the answer to a lookup (Kafka Streams' `KTableFilter`, `KTableMapValues` and their value getters). A
value that the error policy leaves out is no row of the table: what was there before is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from streams.batch import Batch, no_offsets
from streams.expressions import Expression
from streams.graph.functions import UserFunction
from streams.graph.nodes import TableNode
from streams.operators.base import Found, Operator, TaskContext
from streams.operators.kept_table import KeptTable
from streams.operators.table_function import TableFunction

T = TypeVar("T", bound=TableNode)


class DerivedTable(Operator[T]):
    """`_values` says what becomes of values, given what the function answered for each."""

    def __init__(self, node: T, context: TaskContext, asked: UserFunction | Expression, value_type: Any) -> None:
        super().__init__(node, context)
        self._function = TableFunction(asked, node, context)
        self._value_type = value_type
        self._table: KeptTable | None = None

    def open(self) -> None:
        if self.node.store is not None:
            self._table = KeptTable(self.node.store, self.node, self.context)

    def _values(self, values: list[Any], answers: list[Any]) -> list[Any]:
        raise NotImplementedError

    # -- changes

    def process(self, batch: Batch) -> Batch | None:
        return self._function.run(batch, lambda answers: self._changed(batch, self._values(batch.values, answers)))

    def _changed(self, batch: Batch, values: list[Any]) -> Batch | None:
        changes = batch.with_values(values, self._value_type)
        if self._table is not None:
            return self._table.absorb(changes)
        return changes.with_olds(self._olds(batch)) if self.node.sends_old else changes

    def _olds(self, batch: Batch) -> list[Any]:
        assert batch.olds is not None, "the table above was asked for old values"
        return self._computed(batch.with_values(batch.olds, batch.value_type))

    def _computed(self, batch: Batch) -> list[Any]:
        """What becomes of the values of a batch, which have come before."""
        return self._values(batch.values, self._function.again(batch))

    # -- the table

    def lookup(self, keys: Sequence[Any]) -> list[Found]:
        if self._table is not None:
            return self._table.lookup(keys)
        return self._looked_up(keys, self._above.lookup(keys))

    def lookup_at(self, keys: Sequence[Any], times: Sequence[int]) -> list[Found]:
        return self._looked_up(keys, self._above.lookup_at(keys, times))

    @property
    def _above(self) -> Operator[Any]:
        return self.context.operators[self.node.parents[0].name]

    def _looked_up(self, keys: Sequence[Any], above: list[Found]) -> list[Found]:
        there = [(key, *found) for key, found in zip(keys, above, strict=True) if found is not None]
        batch = Batch(
            offsets=no_offsets(len(there)),
            timestamps=np.array([timestamp for _, _, timestamp in there], np.int64),
            keys=[key for key, _, _ in there],
            values=[value for _, value, _ in there],
            partition=self.context.partition,
        )
        values = iter(self._computed(batch))
        return [_found(None if found is None else next(values), found) for found in above]

    def save(self) -> Iterable[None]:
        return () if self._table is None else self._table.save()


def _found(value: Any, above: Found) -> Found:
    return None if value is None or above is None else (value, above[1])
