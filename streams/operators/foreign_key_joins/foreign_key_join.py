"""join, left_join by foreign key, the left side again: answers become rows of the joined table.

An answer counts only if the left value is still the one that asked (Kafka Streams' `ResponseJoinProcessorSupplier`);
one that is stale is dropped and counted, as another is on its way. The table is kept, so that a deletion of a row
that never was is known, and marked as a no-op; Kafka Streams hands it on to everybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from streams.batch import Batch
from streams.graph.nodes import ForeignKeyJoinNode
from streams.operators.base import Found, Operator, TaskContext
from streams.operators.calls import FAILED
from streams.operators.foreign_key_joins.foreign_keys import (
    NO_HASH,
    Answer,
    fingerprint_for,
    read_answer,
    transport_serde,
)
from streams.operators.joins.table_rows import TableRows
from streams.operators.kept_table import KeptTable


class ForeignKeyJoinOperator(Operator[ForeignKeyJoinNode]):
    def __init__(self, node: ForeignKeyJoinNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._rows = TableRows(node.joiner, node, context)
        self._fingerprint = fingerprint_for(node.left_value_type)
        self._lefts = transport_serde(node.left_value_type)
        self._rights = transport_serde(node.right_value_type)

    def open(self) -> None:
        self._left = self.context.operators[self.node.left.name]
        self._table = KeptTable(self.node.store, self.node, self.context, marks_no_ops=True)

    def process(self, batch: Batch) -> Batch | None:
        answers = [read_answer(value) for value in batch.values]
        lefts = [None if found is None else found[0] for found in self._left.lookup(batch.keys)]
        fresh = np.fromiter(map(self._is_fresh, answers, lefts), np.bool_, len(batch))
        self.context.failures.dropped(self.node, "stale", len(batch) - int(fresh.sum()))
        if not fresh.any():
            return None
        rows = np.flatnonzero(fresh).tolist()
        asked = [
            self._lefts.decode_each([answers[row].left])[0] if answers[row].superseded else lefts[row] for row in rows
        ]
        rights = self._rights.decode_each([answers[row].value for row in rows])
        counted = batch.take(fresh)
        return self._rows.run(counted, asked, rights, lambda made: self._joined(counted, made))

    def _is_fresh(self, answer: Answer, left: Any) -> bool:
        return answer.hash == (NO_HASH if left is None else self._fingerprint(left))

    def _joined(self, batch: Batch, results: list[Any]) -> Batch | None:
        rows = [None if row is FAILED else row for row in results]
        return self._table.absorb(batch.with_values(rows, self.node.joiner.value_type))

    def lookup(self, keys: Sequence[Any]) -> list[Found]:
        return self._table.lookup(keys)

    def save(self) -> Iterator[None]:
        yield from self._table.save()
