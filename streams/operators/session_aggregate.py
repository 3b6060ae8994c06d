"""count, reduce, aggregate by sessions: what a record finds within the gap becomes one session with it.

The rules, and the order in which changes leave, are Kafka Streams' (`KStreamSessionWindowAggregate`): a session that is
swallowed leaves as a null before the session that swallowed it, and so does one that only got longer; a record is late
if the session it would make had ended more than gap + grace ago. Timestamps are the ends of sessions. Changes have no
headers; what leaves at the close has those of the record that closed it.
"""

from __future__ import annotations

from collections.abc import Iterator

from state.keys import TIME_MAX, session_key
from streams.graph.nodes import KeyedAggregateNode
from streams.operators.base import TaskContext
from streams.operators.folding import own
from streams.operators.held_windows import Held, by_end
from streams.operators.row_aggregates import Effect, Record, RowAggregateOperator
from streams.windows import SessionWindow


class SessionAggregateOperator(RowAggregateOperator):
    order_of = staticmethod(by_end)
    updates_have_headers = False

    def __init__(self, node: KeyedAggregateNode, context: TaskContext) -> None:
        assert isinstance(node.window, SessionWindow)
        self._gap = node.window.gap_ms
        self.grace_ms = node.window.grace_ms + self._gap
        super().__init__(node, context)

    def effects(self, record: Record) -> list[Effect]:
        side, key_bytes, key, value, time = record
        found = [held for held in self._met(key_bytes, time - self._gap, TIME_MAX) if held.start <= time + self._gap]
        start = min(time, *(held.start for held in found)) if found else time
        end = max(time, *(held.end for held in found)) if found else time
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
        same = (held for held in found if held.start == start and held.end == end)
        return [*effects, Effect(next(same, None) or Held(key_bytes, start, end, end), state, end)]

    def closed_before(self, closed_to: int) -> int:
        return closed_to

    def store_key(self, held: Held) -> bytes:
        return session_key(held.start, held.end, held.key)

    def stored(self, from_time: int) -> Iterator[tuple[Held, int]]:
        with self.context.stores.session(self._store).entries(from_time) as sessions:
            for start, end, key, _, timestamp in sessions:
                yield Held(key, start, end, end), timestamp
