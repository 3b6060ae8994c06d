"""count, reduce, aggregate; windowed or not: folds the records of a group into a state, and emits results.

Which records are too late, and when a window closes, are Kafka Streams' rules (`KStreamWindowAggregate`): a record is
dropped for a window when end + grace <= the largest timestamp this operator has seen, the record's own included.

Open windows live in memory (`Groups`, and the fold's states); a commit writes what changed. A window that opens, closes
and leaves its retention between two commits is never written. `partial` names the windows of which some groups may be
in the store only: those found there at start, and those put aside to bound memory.

Over 300 lines: folding, closing, emitting and writing are about the same slots and share their marks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt

from state.keys import time_prefix, window_key
from streams.batch import Batch, no_offsets
from streams.graph.nodes import AggregateNode, NamedAggregates
from streams.kernels import compiled
from streams.operators.aggregations.fold_states import FoldStates, RowStates
from streams.operators.aggregations.groups import Groups, Slots
from streams.operators.aggregations.state_form import read_state
from streams.operators.base import NO_TIME, PIECE_ROWS, Found, Operator, TaskContext
from streams.operators.calls import FAILED, Failed, holds
from streams.operators.drops import with_key_and_value
from streams.serde import key_serde_for
from streams.windows import SessionWindow, SlidingWindow, Windowed

Int64Array = npt.NDArray[np.int64]

GROUPS_IN_MEMORY_MAX = 500_000
"""Groups kept in memory by one operator; beyond it those that were written are put aside after a commit."""

_ONE_WINDOW = 0
"""The window start under which groups without a window are kept."""


class AggregateOperator(Operator[AggregateNode]):
    def __init__(self, node: AggregateNode, context: TaskContext) -> None:
        super().__init__(node, context)
        assert not isinstance(node.window, SessionWindow | SlidingWindow)
        self._window = node.window
        self._store = node.store.name
        self._emit = context.emission(node.name, node.emit)
        self._keys = key_serde_for(node.store.key_type)
        self._groups = self._new_groups()
        self._states = self._new_states()
        self._partial: set[int] = set()
        self._observed = NO_TIME
        self._closed_to = NO_TIME
        self._expired_to = NO_TIME
        self._changed: dict[int, None] = {}
        self._deleted: set[int] = set()
        """Slots whose aggregate became None: they begin anew with their next record."""
        self._leaving: Iterator[int] = iter(())
        self._emitted: dict[int, Any] = {}
        """What was last emitted of each changed slot, where old values are asked for."""
        self._leaving_olds: dict[int, Any] = {}
        self._closing: tuple[Batch, Int64Array] | None = None
        """The records that close windows, and the latest start that is closed at each."""
        self._shared = node.store.name in context.shared_stores or node.store.ttl_ms is not None

    def _new_groups(self) -> Groups:
        return Groups(1 if self._window is None else self._window.step_ms)

    def _new_states(self) -> FoldStates:
        if isinstance(self.node.fold, NamedAggregates) and self._emit != "update":
            from streams.operators.aggregations.named_aggregates import NamedStates

            return NamedStates(self.node, self.context)
        return RowStates(self.node, self.context)

    def open(self) -> None:
        if self._window is None:
            self._partial = {_ONE_WINDOW}
            return
        clock = self.context.load_clock(self.node.name)
        if clock is not None:
            self._observed, self._closed_to, self._expired_to = clock
        stored = self.context.stores.window(self._store).starts()
        self._partial = {start for start in stored if start > self._closed_to}

    # -- folding

    def process(self, batch: Batch) -> Batch | None:
        batch = with_key_and_value(batch, self.node, self.context.failures)
        if not len(batch):
            return None
        rows, starts = self._assign(batch)
        if not len(rows):
            return self._close()
        codes = self._codes(batch)[rows]
        slots, fresh = self._groups.locate(codes, starts)
        self._states.resize(self._groups.capacity)
        self._fill(fresh)
        return self._fold(batch, rows, slots)

    def _codes(self, batch: Batch) -> Int64Array:
        """A code for the key of each record."""
        if batch.key_spans is not None and compiled.ready() and batch.has_keys_of(self._keys):
            return self._groups.encode_spans(batch.key_spans)
        return self._groups.encode_keys(batch.encoded_keys(self._keys))

    def _assign(self, batch: Batch) -> tuple[Slots, Int64Array]:
        """(row, window start) pairs that are not too late, in the order of rows."""
        if self._window is None:
            return np.arange(len(batch)), np.full(len(batch), _ONE_WINDOW, np.int64)
        observed = np.maximum(np.maximum.accumulate(batch.timestamps), self._observed)
        self._observed = int(observed[-1])
        rows, starts = self._window.assign(batch.timestamps)
        self.context.failures.dropped(self.node, "no_window", self._window.without(batch.timestamps))
        closed = self._window.closed_start(self.context.stream_times(observed))
        if self._emit == "close" and closed[-1] > self._closed_to:
            self._closing = batch, closed
        # Closed stays closed, even if time is held back again by a writer that was idle.
        late = starts <= np.maximum(closed, self._closed_to)[rows]
        if not late.any():
            return rows, starts
        self.context.failures.dropped(self.node, "late", int(late.sum()))
        return rows[~late], starts[~late]

    def _fill(self, fresh: Slots) -> None:
        """First states of slots: from the store where it may have them, else empty."""
        if not len(fresh):
            return
        self._states.start(fresh)
        self._deleted.difference_update(fresh.tolist())
        if not self._partial:
            return
        stored = [slot for slot in fresh.tolist() if int(self._groups.starts[slot]) in self._partial]
        if stored:
            found = self.context.stores.get_many(self._store, [self._store_key(slot) for slot in stored])
            for slot, entry in zip(stored, found, strict=True):
                if entry is not None:
                    self._load(slot, *entry)

    def _load(self, slot: int, payload: bytes, timestamp: int) -> None:
        read_state(self.node, lambda stored: self._states.load(slot, stored), payload)
        self._groups.timestamps[slot] = timestamp

    def _store_key(self, slot: int) -> bytes:
        key = self._groups.key(slot)
        return key if self._window is None else window_key(int(self._groups.starts[slot]), key)

    def _fold(self, batch: Batch, rows: Slots, slots: Slots) -> Batch | None:
        before = self._before(slots) if self.node.sends_old else {}
        return self._states.update(batch, rows, slots, lambda done: self._folded(batch, rows, slots, done, before))

    def _before(self, slots: Slots) -> dict[int, Any]:
        """The result of each slot as it stands; None where there is none."""
        different = list(dict.fromkeys(slots.tolist()))
        results = self._states.results(np.array(different, np.intp))
        known = [slot not in self._deleted and self._groups.timestamps[slot] >= 0 for slot in different]
        return {slot: result if has else None for slot, result, has in zip(different, results, known, strict=True)}

    def _folded(
        self, batch: Batch, rows: Slots, slots: Slots, results: list[Any] | None, before: dict[int, Any]
    ) -> Batch | None:
        if results is not None and holds(results, Failed):
            kept = np.fromiter((result is not FAILED for result in results), np.bool_, len(results))
            rows, slots = rows[kept], slots[kept]
            results = [result for result in results if result is not FAILED]
        self._groups.dirty[slots] = True
        times = self._stamp(slots, batch.timestamps[rows], results)
        if self._shared:
            self._show()
        if self._emit == "update":
            self._close()
            return self._updates(batch, rows, slots, results, times, before) if results and times is not None else None
        if self._emit == "commit":
            for slot, result in before.items():
                self._emitted.setdefault(slot, result)
            self._changed.update(dict.fromkeys(slots.tolist()))
        return self._close()

    # -- results

    def _stamp(self, slots: Slots, times: Int64Array, results: list[Any] | None) -> Int64Array | None:
        """Groups get the largest timestamp folded in since they began; after each fold, where results tell of each."""
        timestamps, deleted = self._groups.timestamps, self._deleted
        if results is None or not (self._emit == "update" or deleted or holds(results, NoneType)):
            np.maximum.at(timestamps, slots, times)
            return None
        found: list[int] = []
        for slot, time, result in zip(slots.tolist(), times.tolist(), results, strict=True):
            found.append(time if slot in deleted else max(time, int(timestamps[slot])))
            timestamps[slot] = found[-1]
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
        """Every change, in order, with offset and headers of the record that made it."""
        updates = self._batch(slots, results, timestamps, batch.offsets[rows], batch)
        if batch.headers is not None:
            updates.headers = [batch.headers[row] for row in rows.tolist()]
        if self.node.sends_old:
            updates.olds = []
            for slot, result in zip(slots.tolist(), results, strict=True):
                updates.olds.append(current[slot])
                current[slot] = result
        return updates

    def _batch(
        self, slots: Slots, results: list[Any], timestamps: Int64Array, offsets: Int64Array, source: Batch | None
    ) -> Batch:
        """Results as a batch; keys are `Windowed` if there is a window."""
        raw = self._groups.keys(slots)
        keys = self._keys.decode_each(raw)
        key_bytes: list[bytes | None] | None = list(raw)
        if self._window is not None:
            starts, key_bytes = self._groups.starts[slots].tolist(), None
            ends = {start: self._window.end(start) for start in set(starts)}
            keys = [Windowed(key, start, ends[start]) for key, start in zip(keys, starts, strict=True)]
        return Batch(
            offsets=offsets,
            timestamps=timestamps,
            keys=keys,
            key_bytes=key_bytes,
            decode_keys=self._keys.decode_each,
            values=results,
            topic="" if source is None else source.topic,
            partition=self.context.partition,
            value_type=self.node.store.value_type,
            origin=None if source is None else source.origin,
        )

    def _latest(self, slots: Slots) -> Batch:
        """The results as they stand now; those of closed windows with offset and headers of the records that closed
        them.
        """
        source, offsets = None, no_offsets(len(slots))
        if self._closing is not None:
            source, closed = self._closing
            rows = np.searchsorted(closed, self._groups.starts[slots])
            offsets = source.offsets[rows]
        latest = self._batch(slots, self._states.results(slots), self._groups.timestamps[slots], offsets, source)
        if source is not None and source.headers is not None:
            latest.headers = [source.headers[row] for row in rows.tolist()]
        if self.node.sends_old:
            latest.olds = [self._leaving_olds.get(slot) for slot in slots.tolist()]
        return latest

    def flush(self) -> Batch | None:
        self._leaving, self._closing = iter(list(self._changed)), None
        self._changed.clear()
        self._leaving_olds, self._emitted = self._emitted, {}
        return self.more()

    def more(self) -> Batch | None:
        slots = list(islice(self._leaving, PIECE_ROWS))
        if not slots:
            self._closing = None  # a batch is large
            return None
        return self._latest(np.array(slots, np.intp))

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
        starts = sorted(start for start in {*self._groups.open_starts, *self._partial} if before < start <= closed_to)
        if self._emit != "close":
            return None
        self._leaving = chain.from_iterable(map(self._whole_window, starts))
        return self.more()

    def _whole_window(self, start: int) -> list[int]:
        """The slots of a window in key order, with the groups that only the store has."""
        if start in self._partial:
            with self.context.stores.window(self._store).block(start) as entries:
                stored = {key: (payload, timestamp) for key, payload, timestamp in entries}
            missing = [key for key in stored if not self._groups.holds(start, key)]
            if missing:
                codes = self._groups.encode_keys(missing)
                slots, fresh = self._groups.locate(codes, np.full(len(missing), start, np.int64))
                self._states.resize(self._groups.capacity)
                self._states.start(fresh)
                for key, slot in zip(missing, slots.tolist(), strict=True):
                    self._load(slot, *stored[key])
        # A group without a timestamp had no record but such as failed.
        found = self._groups.of_start(start)
        return [slot for slot in found if self._groups.timestamps[slot] >= 0 and slot not in self._deleted]

    # -- commit

    def forget(self, store: str, keys: Sequence[bytes]) -> None:
        if store == self._store:
            for slot in self._groups.drop(_ONE_WINDOW, keys):
                self._changed.pop(slot, None)
                self._emitted.pop(slot, None)

    def save(self) -> Iterator[None]:
        """Writes the changed groups; windows past their retention go, unwritten if they were never stored."""
        if self._window is not None:
            self._expire()
        yield from self._write_pieces()
        self._let_go()
        if self._window is not None:
            self.context.save_clock(self.node.name, [self._observed, self._closed_to, self._expired_to])

    def _show(self) -> None:
        """Others use the store: they are to see each change at once."""
        for _ in self._write_pieces():
            pass

    def _write_pieces(self) -> Iterator[None]:
        """Puts the changed groups into the store, some at a step."""
        dirty = self._groups.dirty_slots()
        self._groups.dirty[dirty] = False
        for at in range(0, len(dirty), PIECE_ROWS):
            self._write(dirty[at : at + PIECE_ROWS])
            yield

    def _write(self, slots: Slots) -> None:
        keys = self._groups.keys(slots)
        if self._window is not None:
            starts = self._groups.starts[slots].tolist()
            prefixes = {start: time_prefix(start) for start in set(starts)}
            keys = [prefixes[start] + key for start, key in zip(starts, keys, strict=True)]
        timestamps = self._groups.timestamps[slots].tolist()
        self.context.stores.put_many(self._store, keys, self._states.encode(slots), timestamps)
        if self._store in self.context.views:
            self.context.view(self.node.store).forget(keys)

    def _expire(self) -> None:
        retention = self.node.store.retention_ms
        if retention is None or self._observed == NO_TIME:
            return
        time = self.context.stream_time(self._observed)
        if self._store in self.context.views:
            self.context.views[self._store].observe(self.node.name, time)
        expired_to = time - retention
        for start in self._groups.open_starts:
            if start <= expired_to:
                self._groups.drop_start(start)
        if expired_to > self._expired_to:
            self._expired_to = expired_to
            self.context.stores.window(self._store).expire(expired_to + 1)

    def _let_go(self) -> None:
        """Frees what is written and not needed: closed windows, and everything when there are too many groups."""
        for start in self._groups.open_starts:
            if self._window is not None and start <= self._closed_to:
                self._groups.drop_start(start)
        self._partial = {start for start in self._partial if self._window is None or start > self._closed_to}
        if len(self._groups) > GROUPS_IN_MEMORY_MAX or self._groups.key_codes > 2 * GROUPS_IN_MEMORY_MAX:
            self._partial.update(self._groups.open_starts)
            self._groups = self._new_groups()
            self._states = self._new_states()
            self._deleted.clear()
