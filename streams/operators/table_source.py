"""topic.table(): keeps the latest value of each key, and hands every change on. A null value deletes."""

from __future__ import annotations

import numpy as np

from streams.batch import Batch
from streams.graph.nodes import TableSourceNode
from streams.operators.base import Operator


class TableSourceOperator(Operator[TableSourceNode]):
    """Records without a key are left out and counted, as in Kafka Streams."""

    def open(self) -> None:
        self._table = self.context.view(self.node.store)

    def process(self, batch: Batch) -> Batch | None:
        keys = batch.keys
        if None in keys:
            present = np.fromiter((key is not None for key in keys), np.bool_, len(keys))
            self.context.failures.dropped(self.node, "null_key", len(keys) - int(present.sum()))
            batch = batch.take(present)
        put = self._table.put
        for key, value, timestamp in batch.rows():
            put(key, value, timestamp)
        return batch if len(batch) else None

    def save(self) -> None:
        self._table.save()
