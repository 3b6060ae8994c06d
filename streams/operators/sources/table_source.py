"""topic.table(): keeps the latest value of each key, and hands every change on. A null value deletes.

With `history=` it keeps what each key was at any time so far back: the latest is the one with the largest timestamp
then, not the last to come (Kafka Streams' `KTableSource`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from state.keys import TIME_MAX
from streams.batch import Batch
from streams.graph.nodes import TableSourceNode
from streams.operators.base import NO_TIME, Found, Operator
from streams.operators.drops import present_only
from streams.operators.kept_table import KeptTable
from streams.operators.versioned_view import VersionedView
from streams.serde import key_serde_for


class TableSourceOperator(Operator[TableSourceNode]):
    """Records without a key are left out and counted, as in Kafka Streams."""

    def open(self) -> None:
        self._table = self.context.view(self.node.store)
        self._versions = self._table if isinstance(self._table, VersionedView) else None
        if self._versions is not None:
            observed = self.context.load_clock(self.node.name)
            self._versions.advance(NO_TIME if observed is None else observed)
        self._keys = key_serde_for(self.node.store.key_type)
        # Values of a topic are of its type; those of a stream may be anything.
        checked = self.node.store.source_topic is not None or self._versions is not None
        self._kept = None if checked else KeptTable(self.node.store, self.node, self.context)

    def process(self, batch: Batch) -> Batch | None:
        keys: list[Any] = batch.key_bytes or self._keys.encode_many(batch.keys)
        present = present_only(batch, self.node, self.context.failures, keys, "null_key")
        if present is not batch:
            batch, keys = present, [key for key in keys if key is not None]
        if self._versions is not None:
            return self._put_versions(self._versions, keys, batch)
        if self._kept is not None:
            return self._kept.absorb(batch) if len(batch) else None
        if self.node.sends_old:
            batch = batch.with_olds(self._replaced(keys, batch.values))
        self._table.put_many(keys, batch.values, batch.timestamps.tolist())
        return batch if len(batch) else None

    def _put_versions(self, table: VersionedView, keys: list[bytes], batch: Batch) -> Batch | None:
        """Each value from its timestamp on: what is too late is left out and counted, what is not the latest of its key
        goes on as such.
        """
        olds: list[Any] = []
        ended: list[int | None] = []
        for key, value, timestamp in zip(keys, batch.values, batch.timestamps.tolist(), strict=True):
            if self.node.sends_old:
                olds.append(table.read(key, None))
            ended.append(table.put_version(key, value, timestamp))
        table.trim()
        taken = np.fromiter((until is not None for until in ended), np.bool_, len(ended))
        self.context.failures.dropped(self.node, "late", len(ended) - int(taken.sum()))
        latest = np.fromiter((until == TIME_MAX for until in ended), np.bool_, len(ended))
        changes = batch if latest.all() else batch.with_latest(latest)
        if self.node.sends_old:
            changes = changes.with_olds(olds)
        return changes.take(taken) if taken.any() else None

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

    def lookup_at(self, keys: Sequence[Any], times: Sequence[int]) -> list[Found]:
        return super().lookup_at(keys, times) if self._versions is None else self._versions.stamped_at(keys, times)

    def save(self) -> Iterator[None]:
        if self._versions is not None:
            self.context.save_clock(self.node.name, self._versions.newest)
        yield from self._table.save()
