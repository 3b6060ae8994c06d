"""What leaves an aggregation that goes record by record: collected while a batch is folded, handed on in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from streams.batch import Batch
from streams.graph.nodes import KeyedAggregateNode
from streams.operators.aggregations.held_windows import Held
from streams.operators.base import PIECE_ROWS
from streams.serde import key_serde_for
from streams.windows import Windowed


class Result(NamedTuple):
    """A window's value, made by row `row` of the batch at hand (-1: by none); `old` is what it replaces."""

    row: int
    held: Held
    value: Any
    old: Any
    timestamp: int


class RowResults:
    """`add` results, then `answer`, then `more` until it is None. `with_headers`: with those of the records that made
    them.
    """

    def __init__(self, node: KeyedAggregateNode, partition: int, *, with_headers: bool) -> None:
        self._node = node
        self._partition = partition
        self._with_headers = with_headers
        self._keys = key_serde_for(node.store.key_type)
        self._collected: list[Result] = []
        self._left: Iterator[Result] = iter(())
        self._source: Batch | None = None

    def add(self, result: Result) -> None:
        self._collected.append(result)

    def answer(self, source: Batch | None) -> Batch | None:
        """What was collected since the last answer; rows are those of `source`."""
        self._source, self._left, self._collected = source, iter(self._collected), []
        return self.more()

    def more(self) -> Batch | None:
        results = list(islice(self._left, PIECE_ROWS))
        return self._batch(results) if results else None

    def _batch(self, results: list[Result]) -> Batch:
        source = self._source
        keys = self._keys.decode_each([result.held.key for result in results])
        if self._node.window is not None:
            windows = [result.held for result in results]
            keys = [Windowed(key, held.start, held.end) for key, held in zip(keys, windows, strict=True)]
        rows = np.array([result.row for result in results], np.intp)
        made = Batch(
            offsets=np.full(len(rows), -1) if source is None else np.where(rows < 0, -1, source.offsets[rows]),
            timestamps=np.array([result.timestamp for result in results], np.int64),
            keys=keys,
            values=[result.value for result in results],
            topic="" if source is None else source.topic,
            partition=self._partition,
            value_type=self._node.store.value_type,
            origin=None if source is None else source.origin,
        )
        if source is not None and source.headers is not None and self._with_headers:
            made.headers = [() if row < 0 else source.headers[row] for row in rows.tolist()]
        if self._node.sends_old:
            made.olds = [result.old for result in results]
        return made
