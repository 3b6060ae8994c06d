"""Named aggregates: `aggregate(flights=agg.count(), mean=agg.mean(Flight.delay))`, on columns where the inputs allow
it.

The states of all aggregates of a group are stored together, as one MessagePack array.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from streams.aggregates import Aggregate
from streams.arrays import Slots
from streams.batch import Batch
from streams.columns import Column, column_from_values
from streams.expressions import Expression
from streams.graph.functions import UserFunction
from streams.graph.nodes import AggregateNode, NamedAggregates
from streams.kernels.msgpack import Item, array_of, pack
from streams.operators.aggregations.fold_states import Finish, ask_policy
from streams.operators.aggregations.slot_states import SlotStates
from streams.operators.aggregations.state_form import GroupForm
from streams.operators.base import TaskContext
from streams.operators.calls import FAILED, Calls
from streams.operators.evaluation import column_of
from streams.spans import Spans

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Any]).decode


class NamedStates:
    """The states of named aggregates by slot, in arrays as long as those hold them exactly."""

    def __init__(self, node: AggregateNode, context: TaskContext) -> None:
        assert isinstance(node.fold, NamedAggregates)
        self._form = GroupForm(node.fold, node.store.value_type)
        self._states = [SlotStates(part) for part in self._form.parts]
        self._plain = all(part.stored_plainly for part in self._form.parts)
        self._node = node
        self._context = context

    def resize(self, capacity: int) -> None:
        for states in self._states:
            states.resize(capacity)

    def start(self, slots: Slots) -> None:
        for states in self._states:
            states.start(slots)

    def load(self, slot: int, payload: bytes) -> None:
        for states, state in zip(self._states, self._form.decode(payload), strict=True):
            states.load(slot, state)

    def load_all(self, slots: Slots, payloads: list[bytes]) -> bool:
        try:
            columns = list(zip(*map(_unpack, payloads), strict=True))
            pairs = zip(self._states, columns, strict=True)
            return self._plain and all(states.load_all(slots, column) for states, column in pairs)
        except Exception:  # noqa: BLE001 - found again one by one, and told there
            return False

    def update(self, batch: Batch, rows: Slots, slots: Slots, finish: Finish) -> Batch | None:
        """Gives no results: the row form folds where every change is to leave."""
        inputs = [input_column(part, batch) for part in self._form.parts]
        missing = [at for at, column in enumerate(inputs) if column is None]
        if missing:
            return self._by_rows(batch, rows, slots, finish, inputs, missing)
        return self._fold(batch, [column for column in inputs if column is not None], rows, slots, finish)

    def _by_rows(
        self, batch: Batch, rows: Slots, slots: Slots, finish: Finish, inputs: list[Column | None], missing: list[int]
    ) -> Batch | None:
        """Inputs that columns cannot give are read row by row; a row that fails is the error policy's."""
        parts = [self._form.parts[at] for at in missing]
        read = UserFunction(lambda value: [part.read(value) for part in parts], step=self._node.kind, takes=1)

        def fold(results: list[Any]) -> Batch | None:
            for at, column in enumerate(missing):
                inputs[column] = column_from_values([None if r is FAILED else r[at] for r in results])
            columns = [column for column in inputs if column is not None]
            failed = np.fromiter((result is FAILED for result in results), np.bool_, len(results))
            if not failed.any():
                return self._fold(batch, columns, rows, slots, finish)
            left = np.flatnonzero(~failed[rows])
            return self._fold(
                batch, columns, rows[left], slots[left], lambda folded: finish(_spread(folded, left, rows))
            )

        return Calls(read, self._node, self._context).run(batch, fold)

    def _fold(self, batch: Batch, inputs: list[Column], rows: Slots, slots: Slots, finish: Finish) -> Batch | None:
        straight = len(rows) == len(inputs[0]) and bool((rows == np.arange(len(rows))).all())
        try:
            self._fold_all(inputs, slots, None if straight else rows)
        except Exception:  # noqa: BLE001 - found again row by row, and told there
            columns = inputs if straight else [column[rows] for column in inputs]
            return self._fold_each(batch, columns, rows.tolist(), slots, finish, [])
        return finish(None)

    def _fold_all(self, columns: list[Column], slots: Slots, rows: Slots | None = None) -> None:
        """A record counts for all aggregates or for none, so nothing is changed before all have agreed."""
        pairs = zip(self._states, columns, strict=True)
        for change in [states.prepare(slots, column, rows) for states, column in pairs]:
            change()

    def _fold_each(
        self, batch: Batch, columns: list[Column], rows: list[int], slots: Slots, finish: Finish, results: list[Any]
    ) -> Batch | None:
        while len(results) < len(rows):
            one = slice(len(results), len(results) + 1)
            try:
                self._fold_all([column[one] for column in columns], slots[one])
                results.append(True)
            except Exception as error:  # noqa: BLE001 - whatever a fold raises goes to the error policy
                ask_policy(
                    (self._node, self._context, batch),
                    rows,
                    results,
                    error,
                    lambda: self._fold_each(batch, columns, rows, slots, finish, results),
                )
        return finish(results)

    def encode(self, slots: Slots) -> list[bytes | None]:
        columns = [states.states(slots) for states in self._states]
        try:
            return [_pack(states) for states in zip(*columns, strict=True)]
        except OverflowError:  # an integer of more than 64 bits among the states
            return [self._form.encode(states) for states in zip(*columns, strict=True)]

    def pack(self, slots: Slots) -> Spans | None:
        layout: list[Item | int] = [*array_of(len(self._states))]
        for states in self._states:
            more = states.layout(slots)
            if more is None:
                return None
            layout += more
        return pack(layout, len(slots))

    def columns(self, slots: Slots) -> dict[str, Column] | None:
        if not self._form.fields:
            return None
        return {field: states.finals(slots) for field, states in zip(self._form.fields, self._states, strict=True)}

    def results(self, slots: Slots) -> list[Any]:
        return self._form.rows([states.results(slots) for states in self._states])


def _spread(folded: list[Any] | None, left: Slots, rows: Slots) -> list[Any]:
    """Results of the rows that were left, among those that failed before."""
    spread = np.full(len(rows), FAILED, object)
    spread[left] = True if folded is None else folded
    results: list[Any] = spread.tolist()
    return results


def input_column(part: Aggregate, batch: Batch) -> Column | None:
    """An aggregate's input as a column; None when it has to be read row by row."""
    if part.argument is None:
        return Column(np.ones(len(batch), np.bool_))
    return column_of(part.argument, batch) if isinstance(part.argument, Expression) else None
