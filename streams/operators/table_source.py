"""topic.table(): keeps the latest value of each key, and hands every change on. A null value deletes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from streams.batch import Batch
from streams.graph.nodes import TableSourceNode
from streams.operators.base import Found, Operator
from streams.serde import key_serde_for


class TableSourceOperator(Operator[TableSourceNode]):
    """Records without a key are left out and counted, as in Kafka Streams."""

    def open(self) -> None:
        self._table = self.context.view(self.node.store)
        self._keys = key_serde_for(self.node.store.key_type)

    def process(self, batch: Batch) -> Batch | None:
        keys: list[Any] = batch.key_bytes or self._keys.encode_many(batch.keys)
        if None in keys:
            present = np.fromiter((key is not None for key in keys), np.bool_, len(keys))
            self.context.failures.dropped(self.node, "null_key", len(keys) - int(present.sum()))
            batch = batch.take(present)
            keys = [key for key in keys if key is not None]
        if self.node.sends_old:
            batch = batch.with_olds(self._replaced(keys, batch.values))
        self._table.put_many(keys, batch.values, batch.timestamps.tolist())
        return batch if len(batch) else None

    def _replaced(self, keys: list[bytes], values: list[Any]) -> list[Any]:
        """The value before each change, those of the same batch included."""
        different = list(dict.fromkeys(keys))
        current = dict(zip(different, self._table.get_many(key_bytes=different), strict=True))
        olds: list[Any] = []
        for key, value in zip(keys, values, strict=True):
            olds.append(current[key])
            current[key] = value
        return olds

    def lookup(self, keys: Sequence[Any]) -> list[Found]:
        return self._table.stamped(keys)

    def save(self) -> Iterator[None]:
        yield from self._table.save()
