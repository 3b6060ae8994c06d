"""count, reduce, aggregate by sliding windows: each record ends a window, and begins one if another follows in time.

The rules, and the order in which changes leave, are Kafka Streams' (`KStreamSlidingWindowAggregate`): first the windows
that hold the record, latest first; then the window that begins behind the record before it; then its own that ends with
it, its left; then its right, that begins behind it. The timestamp of a window's result is the latest in it, and that is
how a window says where its last record lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from state.keys import window_key
from streams.graph.nodes import KeyedAggregateNode
from streams.operators.aggregations.folding import own
from streams.operators.aggregations.held_windows import Held
from streams.operators.aggregations.row_aggregates import Effect, Record, RowAggregateOperator
from streams.operators.base import TaskContext
from streams.windows import SlidingWindow


class SlidingAggregateOperator(RowAggregateOperator):
    def __init__(self, node: KeyedAggregateNode, context: TaskContext) -> None:
        assert isinstance(node.window, SlidingWindow)
        self._difference = node.window.difference_ms
        self.grace_ms = node.window.grace_ms
        super().__init__(node, context)

    def effects(self, record: Record) -> list[Effect]:
        if record.time + self._difference < record.side.closed_to:
            self._late = 1
            return []
        return self._early(record) if record.time < self._difference else self._on_time(record)

    def _on_time(self, record: Record) -> list[Effect]:
        time, difference = record.time, self._difference
        around = self._met(record.key_bytes, max(0, time - 2 * difference), time + 1)
        starts = {held.start for held in around}
        effects: list[Effect] = []
        right: Held | None = None
        last: Held | None = None  # of the windows before: its latest record is the one before this
        for held in reversed(around):
            if held.start == time + 1:
                continue
            if held.end < time:
                last = held
                break
            self._fold_in(record, held, effects)
            if held.end > time:
                right = right or held
            elif held.timestamp == time:
                return effects  # one came at this time already, and made all windows there are to make
            else:
                last = held
        if last is not None:
            self._begin_behind(record, last.timestamp, starts, effects)
        if time - difference not in starts:
            reaches = last is not None and time - difference <= last.timestamp
            self._fold_first(record, time - difference, self._state(last) if reaches and last else None, effects)
        self._begin_right(record, right, starts, effects)
        return effects

    def _early(self, record: Record) -> list[Effect]:
        """Windows do not start before 1970: records of its first `difference` are all in the window that starts there,
        until it has passed.
        """
        around = self._met(record.key_bytes, 0, record.time + 1)
        starts = {held.start for held in around}
        shared = next((held for held in around if held.start == 0), None)
        effects: list[Effect] = []
        right: Held | None = None
        for held in around:
            if 0 < held.start <= record.time:
                right = held
                self._fold_in(record, held, effects)
        if right is None and shared is not None and shared.timestamp > record.time:
            right = shared
        self._begin_right(record, right, starts, effects)
        if shared is not None and shared.timestamp < record.time and shared.timestamp + 1 not in starts:
            self._fold_first(record, shared.timestamp + 1, None, effects)
        if shared is None:
            self._fold_first(record, 0, None, effects)
        else:
            self._fold_in(record, shared, effects)
        return effects

    def _begin_behind(self, record: Record, timestamp: int, starts: set[int], effects: list[Effect]) -> None:
        """The right window of the record before, if it has none yet and this record is in it."""
        if timestamp + 1 not in starts and timestamp + 1 + self._difference >= record.time:
            self._fold_first(record, timestamp + 1, None, effects)

    def _begin_right(self, record: Record, right: Held | None, starts: set[int], effects: list[Effect]) -> None:
        """The right window of this record: what the window `right` had behind it, before this record came."""
        start = record.time + 1
        if right is not None and right.timestamp > record.time and start not in starts:
            made = Held(record.key_bytes, start, start + self._difference, start)
            effects.append(Effect(made, self._state(right), right.timestamp))

    def _fold_first(self, record: Record, start: int, state: Any, effects: list[Effect]) -> None:
        """A new window, with what is in `state` and this record. The right window of the record before may be this
        one's left: then it leaves twice.
        """
        twin = next((effect for effect in effects if effect.held.start == start), None)
        held = Held(record.key_bytes, start, start + self._difference, start) if twin is None else twin.held
        old = self._shown(twin.state) if twin is not None and self.node.sends_old else None
        first = record.side.folding.first() if state is None else state
        self._fold(record, held, first, record.time, old, effects)

    def _fold_in(self, record: Record, held: Held, effects: list[Effect]) -> None:
        timestamp = max(record.time, held.timestamp)
        self._fold(record, held, self._state(held), timestamp, self._old(held), effects)

    def _fold(self, record: Record, held: Held, state: Any, timestamp: int, old: Any, effects: list[Effect]) -> None:
        if held.end < record.side.closed_to:
            self._late += 1
            return
        made = self._checked(record.side.folding.fold(record.key, own(state), record.value))
        effects.append(Effect(held, made, timestamp, old))

    def closed_before(self, closed_to: int) -> int:
        return closed_to - self._difference

    def store_key(self, held: Held) -> bytes:
        return window_key(held.start, held.key)

    def stored(self, from_time: int) -> Iterator[tuple[Held, int]]:
        with self.context.stores.window(self._store).entries(from_time) as entries:
            for start, key, _, timestamp in entries:
                yield Held(key, start, start + self._difference, start), timestamp
