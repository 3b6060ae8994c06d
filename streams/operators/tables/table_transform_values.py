"""table.transform_values: another value for each row, by a transformer with a context and stores.

Unlike `map_values` it is asked about deletions too. Where old values are asked for and the table keeps none of its own,
it is asked about the old value right after the new one; lookups have a transformer of their own (Kafka Streams'
`KTableTransformValues`). So one whose answer is not the same for the same row needs `store=`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from streams.batch import Batch, no_offsets
from streams.errors import TopologyError
from streams.graph.functions import UserFunction, caller
from streams.graph.nodes import TableTransformValuesNode
from streams.operators.base import UNKNOWN_TIME, Blocked, Found, Operator, TaskContext
from streams.operators.failures import TryAgain
from streams.operators.kept_table import KeptTable
from streams.operators.processors.lifecycle import begin, end
from streams.operators.processors.processor_context import ProcessorContext
from streams.processing import FixedKeyRecord, ProcessorRecord

Row = tuple[Any, Any]
"""New value and old."""


class TableTransformValuesOperator(Operator[TableTransformValuesNode]):
    record_type: type[ProcessorRecord] = FixedKeyRecord

    def __init__(self, node: TableTransformValuesNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._ctx = ProcessorContext(self)
        self._table: KeptTable | None = None

    def open(self) -> None:
        self._transformer = self._made()
        self._looking = self._made()
        self._ctx.begun = True
        if self.node.store is not None:
            self._table = KeptTable(self.node.store, self.node, self.context)

    def _made(self) -> Any:
        """A transformer that has begun."""
        make = self.node.make
        made = _Function(make, self._ctx) if isinstance(make, UserFunction) else make()
        begin(made, self._ctx, self.node.name)
        return made

    def close(self) -> None:
        for transformer in (self._transformer, self._looking):
            end(transformer)

    # -- changes

    def process(self, batch: Batch) -> Batch | None:
        return self._go_on(batch, [])

    def _go_on(self, batch: Batch, done: list[Row]) -> Batch | None:
        while len(done) < len(batch):
            try:
                done.append(self._one(batch, len(done)))
            except Exception as error:  # noqa: BLE001 - whatever the user's code raises goes to the error policy
                self._ctx.undo()
                try:
                    self.context.failures.handle(self.node, batch, len(done), error)
                except TryAgain as again:
                    raise Blocked(self.context.sleep(again.delay_s), lambda: self._go_on(batch, done)) from None
                done.append((None, None))
            self._ctx.done()
        return self._changed(batch, done)

    def _one(self, batch: Batch, row: int) -> Row:
        key, value, timestamp = batch.keys[row], batch.values[row], int(batch.timestamps[row])
        headers = () if batch.headers is None else batch.headers[row]
        self._ctx.at_record(FixedKeyRecord(key, value, timestamp, headers), batch, row)
        new = self._transformer.transform(key, value)
        if batch.olds is None or not self.node.sends_old or self._table is not None:
            return new, None
        return new, self._transformer.transform(key, batch.olds[row])

    def _changed(self, batch: Batch, rows: list[Row]) -> Batch:
        changes = batch.with_values([new for new, _ in rows], self.node.value_type)
        if self._table is not None:
            return self._table.absorb(changes)
        return changes.with_olds([old for _, old in rows]) if self.node.sends_old else changes

    # -- the table

    def lookup(self, keys: Sequence[Any]) -> list[Found]:
        if self._table is not None:
            return self._table.lookup(keys)
        return self._looked_up(keys, self.context.operators[self.node.parents[0].name].lookup(keys))

    def lookup_at(self, keys: Sequence[Any], times: Sequence[int]) -> list[Found]:
        return self._looked_up(keys, self.context.operators[self.node.parents[0].name].lookup_at(keys, times))

    def _looked_up(self, keys: Sequence[Any], above: list[Found]) -> list[Found]:
        return [None if key is None else self._seen(key, found) for key, found in zip(keys, above, strict=True)]

    def _seen(self, key: Any, above: Found) -> Found:
        value, timestamp = (None, UNKNOWN_TIME) if above is None else above
        batch = Batch(offsets=no_offsets(1), timestamps=np.array([timestamp]), keys=[key], values=[value])
        self._ctx.at_record(FixedKeyRecord(key, value, timestamp, ()), batch, 0)
        try:
            seen = self._looking.transform(key, value)
        except Exception:  # noqa: BLE001 - the error policy has left it out when it came
            self._ctx.undo()
            seen = None
        self._ctx.done()
        return None if seen is None else (seen, timestamp)

    # -- for the context

    def forward(self, record: ProcessorRecord, offset: int, to: str | None) -> NoReturn:
        raise TopologyError(f"forward at {caller()}: a transformer hands nothing on; what transform gives is the value")

    def children(self) -> list[str]:
        return []

    def save(self) -> Iterator[None]:
        if self._table is not None:
            yield from self._table.save()
        yield from self._ctx.save()


class _Function:
    """A function of the user's as a transformer."""

    def __init__(self, function: UserFunction, ctx: ProcessorContext) -> None:
        self._call = function.call
        self._takes_key = function.arity == 2
        self._named = {"ctx": ctx} if function.wants_ctx else {}

    def transform(self, key: Any, value: Any) -> Any:
        return self._call(key, value, **self._named) if self._takes_key else self._call(value, **self._named)
