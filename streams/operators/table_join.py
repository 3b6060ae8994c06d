"""join, left_join of a stream with a table: each record with the table's value for its key, as the table stands when it
is processed.

Only the stream's records trigger results; their timestamp is the stream record's (Kafka Streams'
`KStreamKTableJoinProcessor`). A record without key or value is left out and counted; with `left_join` a record without
key meets no row.
"""

from __future__ import annotations

from types import NoneType
from typing import Any

import numpy as np

from streams.batch import Batch
from streams.graph.nodes import TableJoinNode
from streams.operators.base import Operator, TaskContext
from streams.operators.calls import Calls, holds, left_over
from streams.serde import key_serde_for


class TableJoinOperator(Operator[TableJoinNode]):
    def __init__(self, node: TableJoinNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._calls = Calls(node.joiner, node, context)

    def open(self) -> None:
        store = self.node.table.store
        self._view = None if store is None or store.windowed else self.context.view(store)
        self._keys = key_serde_for(None if store is None else store.key_type)

    def _rights(self, batch: Batch) -> list[Any]:
        if self._view is not None:
            return self._view.get_many(key_bytes=batch.encoded_keys(self._keys))
        found = self.context.operators[self.node.table.name].lookup(batch.keys)
        return [None if entry is None else entry[0] for entry in found]

    def process(self, batch: Batch) -> Batch | None:
        batch = self._that_join(batch)
        rights = self._rights(batch)
        if not self.node.left and holds(rights, NoneType):
            found = np.fromiter((right is not None for right in rights), np.bool_, len(rights))
            batch = batch.take(found)
            rights = [right for right in rights if right is not None]
        if not len(batch):
            return None
        pair = [batch.values, rights]
        columns = pair if self.node.joiner.arity == 2 else [batch.keys, *pair]
        return self._calls.run(batch, lambda results: self._joined(batch, results), columns)

    def _that_join(self, batch: Batch) -> Batch:
        """Without the records that have nothing to join, or nothing to be found by."""
        values = ("null_value", batch.values)
        for reason, column in (values,) if self.node.left else (("null_key", batch.key_bytes or batch.keys), values):
            if holds(column, NoneType):
                present = np.fromiter((entry is not None for entry in column), np.bool_, len(column))
                self.context.failures.dropped(self.node, reason, len(column) - int(present.sum()))
                return self._that_join(batch.take(present))
        return batch

    def _joined(self, batch: Batch, results: list[Any]) -> Batch | None:
        kept, values = left_over(batch, results)
        return kept.with_values(values, self.node.value_type) if values else None
