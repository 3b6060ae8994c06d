"""cogroup: several streams, each with its own function, folded into one table; plain, or by windows that lie where they
are whatever records come.

As in Kafka Streams each input is a step of its own over one store (`CogroupedStreamAggregateBuilder`, with
`KStreamAggregate` and `KStreamWindowAggregate`): whether a record is late goes by the time of its input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from state.keys import window_key
from streams.graph.nodes import KeyedAggregateNode
from streams.operators.aggregations.folding import own
from streams.operators.aggregations.held_windows import UNLOADED, Held
from streams.operators.aggregations.row_aggregates import HELD_MAX, Effect, Record, RowAggregateOperator
from streams.operators.aggregations.state_form import read_state
from streams.operators.base import TaskContext
from streams.windows import SessionWindow, SlidingWindow

_ONE_WINDOW = 0
"""The window start under which groups without a window are kept."""


class CogroupOperator(RowAggregateOperator):
    def __init__(self, node: KeyedAggregateNode, context: TaskContext) -> None:
        assert not isinstance(node.window, SessionWindow | SlidingWindow)
        self._window = node.window
        self.grace_ms = 0 if self._window is None else self._window.grace_ms
        super().__init__(node, context)
        self._groups: dict[bytes, Held] = {}
        """Those without a window, by key; with no value where the store has none."""

    def effects(self, record: Record) -> list[Effect]:
        if self._window is None:
            return [self._folded(record, self._group(record.key_bytes))]
        effects: list[Effect] = []
        for start, end in self._window.windows_for(record.time):
            if end <= record.side.closed_to:
                self._late += 1
                continue
            held = next(iter(self._met(record.key_bytes, start, start)), None)
            effects.append(self._folded(record, held or Held(record.key_bytes, start, end, start)))
        return effects

    def _folded(self, record: Record, held: Held) -> Effect:
        folding = record.side.folding
        state = own(self._state(held)) if held.live else folding.first()
        made = self._checked(folding.fold(record.key, state, record.value))
        timestamp = max(record.time, held.timestamp) if held.live else record.time
        return Effect(held, made, timestamp, self._old(held) if held.live else None)

    def _group(self, key: bytes) -> Held:
        """A group without a window, from the store if memory does not know it."""
        held = self._groups.get(key)
        if held is None:
            held = self._groups[key] = Held(key, _ONE_WINDOW, _ONE_WINDOW, _ONE_WINDOW)
            found = self.context.stores.get(self._store, key)
            if found is not None:
                held.state, held.timestamp = read_state(self.node, self._form.decode, found[0]), found[1]
                held.live, held.stored, held.shown = True, True, UNLOADED
        return held

    def remember(self, held: Held) -> None:
        if self._window is None:
            held.live = True
        else:
            super().remember(held)

    def forget_window(self, held: Held) -> None:
        if self._window is None:
            held.live = False
        else:
            super().forget_window(held)

    def put_aside(self) -> None:
        super().put_aside()
        if len(self._groups) > HELD_MAX:
            self._groups.clear()

    def closed_before(self, closed_to: int) -> int:
        if self._window is None:
            return _ONE_WINDOW
        return self._window.closed_start(closed_to + self.grace_ms) + 1

    def store_key(self, held: Held) -> bytes:
        return held.key if self._window is None else window_key(held.start, held.key)

    def stored(self, from_time: int) -> Iterator[tuple[Held, int]]:
        if self._window is None:
            return
        with self.context.stores.window(self._store).entries(from_time) as entries:
            for start, key, _, timestamp in entries:
                yield Held(key, start, self._window.end(start), start), timestamp

    def forget(self, store: str, keys: Sequence[bytes]) -> None:
        for key in keys if store == self._store else ():
            held = self._groups.pop(key, None)
            if held is not None:
                self._changed.pop(held, None)
                self._dirty.pop(held, None)
