"""join, left_join of a stream with a table: each record with the table's value for its key, as the table stands when it
is processed; of a versioned table the value that was valid at the record's timestamp.

Only the stream's records trigger results; their timestamp is the stream record's (Kafka Streams'
`KStreamKTableJoinProcessor`). A record without key or value is left out and counted; with `left_join` a record without
key meets no row.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from streams.batch import Batch
from streams.graph.nodes import TableJoinNode
from streams.graph.versions import is_versioned
from streams.kernels import compiled
from streams.operators.base import Operator, TaskContext
from streams.operators.drops import with_key, with_value
from streams.operators.joins.joined_rows import JoinedRows
from streams.serde import key_serde_for
from streams.spans import Spans

if TYPE_CHECKING:
    from streams.operators.joins.looked_up import LookedUp


class TableJoinOperator(Operator[TableJoinNode]):
    def __init__(self, node: TableJoinNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._joined = JoinedRows(node, context)

    def open(self) -> None:
        store = self.node.table.store
        self._versioned = is_versioned(self.node.table)
        direct = store is not None and not store.windowed and not store.versioned
        self._view = self.context.view(store) if store is not None and direct else None
        self._keys = key_serde_for(None if store is None else store.key_type)

    def _rights(self, batch: Batch) -> list[Any]:
        if self._view is not None:
            return self._view.get_many(key_bytes=batch.encoded_keys(self._keys))
        table = self.context.operators[self.node.table.name]
        found = table.lookup_at(batch.keys, batch.timestamps.tolist()) if self._versioned else table.lookup(batch.keys)
        return [None if entry is None else entry[0] for entry in found]

    def process(self, batch: Batch) -> Batch | None:
        if not self.node.left:
            batch = with_key(batch, self.node, self.context.failures)
        batch = with_value(batch, self.node, self.context.failures)
        spans = self._spans(batch)
        if spans is not None:
            joined = self._joined.on_columns(batch, self._rows, spans)
            if joined is not None:
                return joined if len(joined) else None
        return self._joined.run(batch, self._rights(batch))

    def _spans(self, batch: Batch) -> Spans | None:
        """The keys, where the joiner may run on columns, and each key is looked up once."""
        keys = batch.key_spans
        if keys is None or self._view is None or not compiled.ready(len(batch)):
            return None
        if not self._joined.takes_columns(batch):
            return None
        return keys if batch.has_keys_of(self._keys) and not keys.has_nulls() else None

    @cached_property
    def _rows(self) -> LookedUp:
        from streams.operators.joins.looked_up import LookedUp

        assert self._view is not None
        return LookedUp(self._view, self._joined.right_type)
