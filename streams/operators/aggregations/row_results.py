"""What leaves an aggregation that goes record by record: collected while a batch is folded, handed on in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from streams.batch import Batch
from streams.faces import Keys, Values, WindowedSpans
from streams.graph.nodes import KeyedAggregateNode
from streams.operators.aggregations.held_windows import Held
from streams.operators.aggregations.state_form import form_of
from streams.operators.base import PIECE_ROWS
from streams.serde import key_serde_for
from streams.spans import CutSpans


class Result(NamedTuple):
    """A window's state (None: it went), made by row `row` of the batch at hand (-1: by none); `old` is the result that
    it replaces.
    """

    row: int
    held: Held
    state: Any
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
        self._form = form_of(node)
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
        windows = [result.held for result in results]
        keys, windowed = CutSpans.of([held.key for held in windows]), None
        if self._node.window is not None:
            starts, ends = (
                np.array(times, np.int64)
                for times in ([held.start for held in windows], [held.end for held in windows])
            )
            windowed = WindowedSpans(keys, starts, ends)
        rows = np.array([result.row for result in results], np.intp)
        states = [result.state for result in results]
        columns = self._form.columns(states)
        values = self._form.results(states) if columns is None else None
        made = Batch(
            offsets=np.full(len(rows), -1) if source is None else np.where(rows < 0, -1, source.offsets[rows]),
            timestamps=np.array([result.timestamp for result in results], np.int64),
            keys=Keys(len(rows), None, None, self._keys.decode_each, keys if windowed is None else None, windowed),
            values=Values(len(rows), values, self._node.store.value_type, columns=columns),
            topic="" if source is None else source.topic,
            partition=self._partition,
            origin=None if source is None else source.origin,
        )
        if source is not None and source.headers is not None and self._with_headers:
            made.headers = [() if row < 0 else source.headers[row] for row in rows.tolist()]
        if self._node.sends_old:
            made.olds = [result.old for result in results]
        return made
