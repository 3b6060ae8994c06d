"""count, reduce, aggregate; windowed or not: folds the records of a group into a state, and emits results.

Which records are too late, and when a window closes, are Kafka Streams' rules (`KStreamWindowAggregate`): a record is
dropped for a window when end + grace <= the largest timestamp this operator has seen, the record's own included.

Open windows live in memory (`KeptGroups`); a commit writes what changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Any

import numpy as np

from streams.arrays import Int64Array, Slots
from streams.batch import Batch
from streams.graph.nodes import AggregateNode, NamedAggregates
from streams.operators.aggregations.aggregate_results import AggregateResults, Closing
from streams.operators.aggregations.changed_slots import ChangedSlots
from streams.operators.aggregations.fold_states import FoldStates, RowStates
from streams.operators.aggregations.kept_groups import ONE_WINDOW, KeptGroups, in_pieces
from streams.operators.aggregations.open_windows import assign, closing_rows
from streams.operators.base import NO_TIME, Found, Operator, TaskContext
from streams.operators.calls import FAILED, Failed, holds
from streams.operators.drops import with_key_and_value
from streams.windows import SessionWindow, SlidingWindow


class AggregateOperator(Operator[AggregateNode]):
    def __init__(self, node: AggregateNode, context: TaskContext) -> None:
        super().__init__(node, context)
        assert not isinstance(node.window, SessionWindow | SlidingWindow)
        self._window = node.window
        self._store = node.store.name
        self._emit = context.emission(node.name, node.emit)
        self._kept = KeptGroups(node, context, self._new_states)
        self._results = AggregateResults(node, self._kept, context.partition)
        self._observed = NO_TIME
        self._closed_to = NO_TIME
        self._expired_to = NO_TIME
        self._changed = ChangedSlots()
        self._leaving: Iterator[Slots] = iter(())
        self._emitted: dict[int, Any] = {}
        """What was last emitted of each changed slot, where old values are asked for."""
        self._leaving_olds: dict[int, Any] = {}
        self._closing: Closing | None = None
        self._shared = node.store.name in context.shared_stores or node.store.ttl_ms is not None

    def _new_states(self) -> FoldStates:
        if isinstance(self.node.fold, NamedAggregates) and self._emit != "update":
            from streams.operators.aggregations.named_aggregates import NamedStates

            return NamedStates(self.node, self.context)
        return RowStates(self.node, self.context)

    def open(self) -> None:
        if self._window is None:
            self._kept.partial = {ONE_WINDOW}
            return
        clock = self.context.load_clock(self.node.name)
        if clock is not None:
            self._observed, self._closed_to, self._expired_to = clock
        stored = self.context.stores.window(self._store).starts()
        self._kept.partial = {start for start in stored if start > self._closed_to}

    # -- folding

    def process(self, batch: Batch) -> Batch | None:
        batch = with_key_and_value(batch, self.node, self.context.failures)
        if not len(batch):
            return None
        rows, starts = self._assign(batch)
        if not len(rows):
            return self._close()
        return self._fold(batch, rows, self._kept.locate(batch, rows, starts))

    def _assign(self, batch: Batch) -> tuple[Slots, Int64Array]:
        """(row, window start) pairs that are not too late, in the order of rows."""
        if self._window is None:
            return np.arange(len(batch)), np.full(len(batch), ONE_WINDOW, np.int64)
        window, times, before, drop = self._window, batch.timestamps, self._observed, self.context.failures.dropped
        found = assign(window, times, self.context, before, self._closed_to)
        self._observed = found.observed
        drop(self.node, "no_window", found.without)
        drop(self.node, "late", found.late)
        if self._emit == "close" and found.closed_to > self._closed_to:
            self._closing = Closing(batch, lambda starts: closing_rows(window, times, self.context, before, starts))
        return found.rows, found.starts

    def _fold(self, batch: Batch, rows: Slots, slots: Slots) -> Batch | None:
        before = self._before(slots) if self.node.sends_old else {}
        finish = lambda done: self._folded(batch, rows, slots, done, before)  # noqa: E731
        return self._kept.states.update(batch, rows, slots, finish)

    def _before(self, slots: Slots) -> dict[int, Any]:
        """The result of each slot as it stands; None where there is none."""
        different, kept = list(dict.fromkeys(slots.tolist())), self._kept
        results = kept.states.results(np.array(different, np.intp))
        known = [slot not in kept.deleted and kept.groups.timestamps[slot] >= 0 for slot in different]
        return {slot: result if has else None for slot, result, has in zip(different, results, known, strict=True)}

    def _folded(
        self, batch: Batch, rows: Slots, slots: Slots, results: list[Any] | None, before: dict[int, Any]
    ) -> Batch | None:
        if results is not None and holds(results, Failed):
            kept = np.fromiter((result is not FAILED for result in results), np.bool_, len(results))
            rows, slots = rows[kept], slots[kept]
            results = [result for result in results if result is not FAILED]
        times = self._stamp(rows, slots, batch.timestamps, results)
        if self._shared:
            self._show()
        if self._emit == "update":
            self._close()
            return self._updates(batch, rows, slots, results, times, before) if results and times is not None else None
        if self._emit == "commit":
            for slot, result in before.items():
                self._emitted.setdefault(slot, result)
            self._changed.mark(slots, self._kept.groups.capacity)
        return self._close()

    # -- results

    def _stamp(self, rows: Slots, slots: Slots, times: Int64Array, results: list[Any] | None) -> Int64Array | None:
        """Groups are marked as changed, and get the largest timestamp folded in since they began; gives that after each
        fold, where results tell of each.
        """
        groups, deleted = self._kept.groups, self._kept.deleted
        if results is None or not (self._emit == "update" or deleted or holds(results, NoneType)):
            groups.touch(slots, rows, times)
            return None
        groups.dirty[slots] = True
        found: list[int] = []
        for slot, time, result in zip(slots.tolist(), times[rows].tolist(), results, strict=True):
            found.append(time if slot in deleted else max(time, int(groups.timestamps[slot])))
            groups.timestamps[slot] = found[-1]
            if result is None:
                deleted.add(slot)
            else:
                deleted.discard(slot)
        return np.array(found, np.int64)

    def _updates(
        self,
        batch: Batch,
        rows: Slots,
        slots: Slots,
        results: list[Any],
        timestamps: Int64Array,
        current: dict[int, Any],
    ) -> Batch:
        updates = self._results.changes(slots, results, timestamps, batch, rows)
        if self.node.sends_old:
            updates.olds = []
            for slot, result in zip(slots.tolist(), results, strict=True):
                updates.olds.append(current[slot])
                current[slot] = result
        return updates

    def flush(self) -> Batch | None:
        self._leaving, self._closing = in_pieces([self._changed.take()]), None
        self._leaving_olds, self._emitted = self._emitted, {}
        return self.more()

    def more(self) -> Batch | None:
        slots = next(self._leaving, None)
        if slots is None:
            self._closing = None  # a batch is large
            return None
        latest = self._results.latest(slots, self._closing)
        if self.node.sends_old:
            latest.olds = [self._leaving_olds.get(slot) for slot in slots.tolist()]
        return latest

    def lookup(self, keys: Sequence[Any]) -> list[Found]:
        return self.context.view(self.node.store).stamped(keys)

    # -- time

    def advance(self) -> Batch | None:
        self._closing = None
        return self._close()

    def _close(self) -> Batch | None:
        """The results of windows that are closed by now, earliest window first, by key within it; then those windows
        are let go.
        """
        if self._window is None or self._observed == NO_TIME:
            return None
        closed_to = self._window.closed_start(self.context.stream_time(self._observed))
        if closed_to <= self._closed_to:
            return None
        before, self._closed_to = self._closed_to, closed_to
        if self._emit != "close":
            return None
        self._leaving = in_pieces(self._kept.windows(before, closed_to))
        return self.more()

    # -- commit

    def forget(self, store: str, keys: Sequence[bytes]) -> None:
        if store == self._store:
            slots = self._kept.forget(keys)
            self._changed.forget(slots)
            for slot in slots:
                self._emitted.pop(slot, None)

    def save(self) -> Iterator[None]:
        """Writes the changed groups; windows past their retention go, unwritten if they were never stored."""
        if self._window is not None:
            self._expire()
        yield from self._kept.write_pieces()
        self._kept.let_go(self._closed_to)
        if self._window is not None:
            self.context.save_clock(self.node.name, [self._observed, self._closed_to, self._expired_to])

    def _show(self) -> None:
        """Others use the store: they are to see each change at once."""
        for _ in self._kept.write_pieces():
            pass

    def _expire(self) -> None:
        retention = self.node.store.retention_ms
        if retention is None or self._observed == NO_TIME:
            return
        time = self.context.stream_time(self._observed)
        if self._store in self.context.views:
            self.context.views[self._store].observe(self.node.name, time)
        expired_to = time - retention
        self._kept.groups.drop_starts(expired_to)
        if expired_to > self._expired_to:
            self._expired_to = expired_to
            self.context.stores.window(self._store).expire(expired_to + 1)
