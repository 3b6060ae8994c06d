"""Groups of an aggregation as a batch: keys of their windows, and what the user sees of their states."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from streams.arrays import Int64Array, Slots
from streams.batch import Batch, no_offsets
from streams.faces import Keys, Values, WindowedSpans
from streams.graph.nodes import AggregateNode
from streams.operators.aggregations.kept_groups import KeptGroups
from streams.serde import key_serde_for
from streams.windows import HoppingWindow


class Closing:
    """The records that close windows: `rows_of` gives the one for each of some starts."""

    def __init__(self, batch: Batch, rows_of: Callable[[Int64Array], Slots]) -> None:
        self.batch = batch
        self._rows_of = rows_of

    def rows(self, starts: Int64Array) -> Slots:
        """The record that closes each window; those of one window stand together."""
        edges = [0, *(np.flatnonzero(starts[1:] != starts[:-1]) + 1).tolist(), len(starts)]
        lengths = [stop - first for first, stop in pairwise(edges)]
        return np.repeat(self._rows_of(starts[edges[:-1]]), lengths)


class AggregateResults:
    def __init__(self, node: AggregateNode, kept: KeptGroups, partition: int) -> None:
        self._node = node
        self._kept = kept
        self._partition = partition
        self._decode_keys = key_serde_for(node.store.key_type).decode_each

    def latest(self, slots: Slots, closing: Closing | None) -> Batch:
        """The results as they stand now; those of closed windows with offset and headers of the records that closed
        them.
        """
        timestamps = self._kept.groups.timestamps[slots]
        columns = self._kept.states.columns(slots)
        values = self._kept.states.results(slots) if columns is None else None
        if closing is None:
            return self._batch(slots, values, columns, timestamps, no_offsets(len(slots)), None)
        source, rows = closing.batch, closing.rows(self._kept.groups.starts[slots])
        latest = self._batch(slots, values, columns, timestamps, source.offsets[rows], source)
        if source.headers is not None:
            latest.headers = [source.headers[row] for row in rows.tolist()]
        return latest

    def changes(self, slots: Slots, results: list[Any], timestamps: Int64Array, batch: Batch, rows: Slots) -> Batch:
        """Every change, in order, with offset and headers of the record that made it."""
        changes = self._batch(slots, results, None, timestamps, batch.offsets[rows], batch)
        if batch.headers is not None:
            changes.headers = [batch.headers[row] for row in rows.tolist()]
        return changes

    def _batch(
        self,
        slots: Slots,
        values: list[Any] | None,
        columns: dict[str, Any] | None,
        timestamps: Int64Array,
        offsets: Int64Array,
        source: Batch | None,
    ) -> Batch:
        """Keys are in windows if there are any."""
        spans, windowed = self._kept.groups.key_spans(slots), None
        if self._node.window is not None:
            windowed = WindowedSpans(spans, *self._bounds(slots))
        return Batch(
            offsets=offsets,
            timestamps=timestamps,
            keys=Keys(len(slots), None, None, self._decode_keys, spans if windowed is None else None, windowed),
            values=Values(len(slots), values, self._node.store.value_type, columns=columns),
            topic="" if source is None else source.topic,
            partition=self._partition,
            origin=None if source is None else source.origin,
        )

    def _bounds(self, slots: Slots) -> tuple[Int64Array, Int64Array]:
        """Start and end of each slot's window."""
        window, starts = self._node.window, self._kept.groups.starts[slots]
        if isinstance(window, HoppingWindow):
            return starts, starts + window.size_ms
        assert window is not None
        end_of: dict[int, int] = {start: window.end(start) for start in set(starts.tolist())}  # type: ignore[union-attr]
        return starts, np.fromiter(map(end_of.__getitem__, starts.tolist()), np.int64, len(starts))
