"""count, reduce, aggregate by sessions: what a record finds within the gap becomes one session with it.

The rules, and the order in which changes leave, are Kafka Streams' (`KStreamSessionWindowAggregate`): a session that is
swallowed leaves as a null before the session that swallowed it, and so does one that only got longer; a record is late
if the session it would make had ended more than gap + grace ago. Timestamps are the ends of sessions. Changes have no
headers; what leaves at the close has those of the record that closed it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import numpy as np

from state.keys import TIME_MAX, session_key
from streams.arrays import Int64Array
from streams.batch import Batch
from streams.graph.nodes import KeyedAggregateNode, NamedAggregates
from streams.operators.aggregations.folding import own
from streams.operators.aggregations.held_windows import Held, by_end
from streams.operators.aggregations.named_aggregates import input_column
from streams.operators.aggregations.row_aggregates import Effect, Record, RowAggregateOperator, Side
from streams.operators.aggregations.row_results import Result
from streams.operators.aggregations.session_columns import Cut, Times, cut, fold_runs
from streams.operators.base import NO_TIME, TaskContext
from streams.windows import SessionWindow


class SessionAggregateOperator(RowAggregateOperator):
    order_of = staticmethod(by_end)
    updates_have_headers = False

    def __init__(self, node: KeyedAggregateNode, context: TaskContext) -> None:
        assert isinstance(node.window, SessionWindow)
        self._gap = node.window.gap_ms
        self.grace_ms = node.window.grace_ms + self._gap
        super().__init__(node, context)
        named = isinstance(node.fold, NamedAggregates) and len(node.folds) == 1
        self._on_columns = named and self._emit != "update" and not (self._shared or node.sends_old)

    def fold_batch(self, side: Side, batch: Batch) -> Batch | None:
        if not self._on_columns:
            return super().fold_batch(side, batch)
        taken = batch.take(batch.timestamps >= 0) if (batch.timestamps < 0).any() else batch
        inputs = [input_column(part, taken) for part in self._form.parts]
        columns = [column for column in inputs if column is not None]
        if len(columns) < len(inputs) or not len(taken):
            return super().fold_batch(side, batch)
        when = self._times(side, taken.timestamps)
        keys = taken.encoded_keys(self._keys)
        cuts = cut(keys, taken.timestamps, when, self._gap, lambda key, end: self._met(key, end, TIME_MAX))
        try:
            states = fold_runs(self._form.parts, columns, cuts, self._state) if cuts.runs else []
        except Exception:  # noqa: BLE001 - found again row by row, and told there
            return super().fold_batch(side, batch)
        self.context.failures.dropped(self.node, "no_window", len(batch) - len(taken))
        marks = sorted(self._put(cuts, states, taken.timestamps), key=itemgetter(0))
        return self._go_on(side, taken, when, deque(marks), deque(cuts.odd_rows))

    def _times(self, side: Side, timestamps: Int64Array) -> Times:
        retention, stream_times = self.node.store.retention_ms, self.context.stream_times
        assert retention is not None
        observed = np.maximum(np.maximum.accumulate(timestamps), side.observed)
        closed = np.maximum(stream_times(observed) - self.grace_ms, side.closed_to)
        # What comes behind what is closed is late, or goes into a session that ends later and was put before.
        put = np.where(timestamps >= closed, timestamps, NO_TIME)
        put = np.maximum.accumulate(np.concatenate([[self._put_time], put]))
        gone = np.maximum(stream_times(put[:-1]) - retention, self._gone_to)
        gone[0] = self._gone_to
        return Times(observed, closed, put, gone)

    def _put(self, cuts: Cut, states: list[Any], times: Int64Array) -> Iterator[tuple[int, Held]]:
        """Gives each session its state; what the commit is to emit, and by which row it was changed last."""
        marks = self._emit == "commit"
        for (held, key, start, end, first, stop), state in zip(cuts.runs, states, strict=True):
            if held is not None and held.end != end and not held.stored and held.shown is None:
                held.end = end  # nobody knows yet that it was shorter
                self._windows.grow(held, end)
            elif held is not None and held.end != end:
                self._settle_one(held, None)
                if marks:
                    rows = cuts.order[first:stop]
                    yield int(rows[np.searchsorted(times[rows], held.end, side="right")]), held
                held = None
            held = held or Held(key, start, end, end)
            self._settle_one(held, state)
            if marks:
                yield int(cuts.order[stop - 1]), held

    def _settle_one(self, held: Held, state: Any) -> None:
        if state is None:
            self.forget_window(held)
        elif not held.live:
            self.remember(held)
        held.state, held.timestamp = state, held.end
        self._dirty[held] = None

    def _go_on(
        self, side: Side, batch: Batch, when: Times, marks: deque[tuple[int, Held]], odd_rows: deque[int]
    ) -> Batch | None:
        """The rows that are left, each at its own time; then what the last record closes."""
        keys = batch.encoded_keys(self._keys)
        while odd_rows:
            row = odd_rows[0]
            self._mark_before(marks, row)
            if row:
                self._close_runs(side, when, row - 1)
            side.observed, side.closed_to = int(when.observed[row]), int(when.closed[row])
            self._put_time, self._gone_to = int(when.put[row]), int(when.gone[row])
            record = Record(side, keys[row], batch.keys[row], batch.values[row], int(batch.timestamps[row]))
            self._fold_row(batch, row, record, lambda: self._go_on(side, batch, when, marks, odd_rows))
            odd_rows.popleft()
        self._mark_before(marks, len(batch))
        self._put_time = int(when.put[-1])
        self._close_runs(side, when, len(batch) - 1)
        self._move_on()
        return self._answer(batch)

    def _mark_before(self, marks: deque[tuple[int, Held]], row: int) -> None:
        while marks and marks[0][0] < row:
            self._mark(marks.popleft()[1])

    def _close_runs(self, side: Side, when: Times, row: int) -> None:
        """What has closed by that row, with the rows that closed it."""
        side.observed, side.closed_to = int(when.observed[row]), int(when.closed[row])
        if self._emit == "close":
            closed = list(self._windows.pop_closed(self._closed()))
            for held, by in zip(closed, when.closing_rows([held.end for held in closed]), strict=True):
                self.results.add(Result(by, held, self._state(held), None, held.end))

    def effects(self, record: Record) -> list[Effect]:
        side, key_bytes, key, value, time = record
        found = [held for held in self._met(key_bytes, time - self._gap, TIME_MAX) if held.start <= time + self._gap]
        # Sessions of a key do not overlap: the first begins first, the last ends last.
        start = min(time, found[0].start) if found else time
        end = max(time, found[-1].end) if found else time
        if end < side.closed_to:
            self._late = 1
            return []
        state = side.folding.first()
        for held in found:
            state = side.folding.merge(key, state, own(self._state(held)))
        state = self._checked(side.folding.fold(key, state, value))
        effects: list[Effect] = []
        if (start, end) != (time, time):
            effects += [Effect(held, None, held.end, self._old(held)) for held in found]
        same = next((held for held in found if held.start == start and held.end == end), None)
        if same is None:
            return [*effects, Effect(Held(key_bytes, start, end, end), state, end)]
        # Its row was deleted with the others, unless it is the one session there was.
        old = None if effects else self._old(same)
        return [*effects, Effect(same, state, end, old)]

    def closed_before(self, closed_to: int) -> int:
        return closed_to

    def store_key(self, held: Held) -> bytes:
        return session_key(held.start, held.end, held.key)

    def stored(self, from_time: int) -> Iterator[tuple[Held, int]]:
        with self.context.stores.session(self._store).entries(from_time) as sessions:
            for start, end, key, _, timestamp in sessions:
                yield Held(key, start, end, end), timestamp
