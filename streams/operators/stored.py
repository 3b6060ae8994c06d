"""How a table's keys and values stand in its store and changelog."""

from __future__ import annotations

from typing import Any

from state.api import StoreSpec
from state.keys import session_key, split_session_key, split_window_key, window_key
from streams.graph.definitions import StoreDef
from streams.operators.aggregations.state_form import GroupForm
from streams.serde import key_serde_for, serde_for
from streams.windows import SessionWindow, SlidingWindow, Windowed


def store_spec(store: StoreDef) -> StoreSpec:
    """What the state of a task is told of a store."""
    logged = store.source_topic is None
    return StoreSpec(store.name, store.kind, ttl_ms=store.ttl_ms, logged=logged, history_ms=store.history_ms)


class StoredForm:
    """Key serde, and values in both directions.

    A table of a topic holds the topic's own values; every other table MessagePack, and one of named aggregates their
    states, of which the user sees the results.
    """

    def __init__(self, store: StoreDef) -> None:
        self._store = store
        self.keys = key_serde_for(store.key_type)
        self._values = serde_for(store.value_type, default="json" if store.source_topic is not None else "msgpack")
        self._groups = None if store.aggregates is None else GroupForm(store.aggregates, store.value_type)

    def entry(self, key: Any) -> bytes:
        """The store key of a key; those of a windowed table are `Windowed`."""
        if self._store.sessions:
            return session_key(key.start, key.end, self.keys.encode(key.key))
        return window_key(key.start, self.keys.encode(key.key)) if self._store.windowed else self.keys.encode(key)

    def key(self, entry: bytes) -> Any:
        """The key of a store key."""
        if self._store.sessions:
            start, end, key = split_session_key(entry)
            return Windowed(self.keys.decode(key), start, end)
        if not self._store.windowed:
            return self.keys.decode(entry)
        start, key = split_window_key(entry)
        window, size = self._store.window, self._store.window_size_ms or 0
        end = start + size if window is None or isinstance(window, SessionWindow) else window.end(start)
        return Windowed(self.keys.decode(key), start, end)

    def latest_window(self, timestamp: int) -> tuple[int, int] | None:
        """(start, end) of the window that holds `timestamp` (ms), the one that begins last; None where records make the
        windows, or no window holds it.
        """
        window, size = self._store.window, self._store.window_size_ms or 1
        if self._store.sessions or isinstance(window, SessionWindow | SlidingWindow):
            return None
        if window is None:
            start = timestamp // size * size
            return start, start + size
        return next(iter(window.windows_for(timestamp)[-1:]), None)

    def encode(self, value: Any) -> bytes:
        """A value as it is stored. Not for named aggregates, whose states only the aggregation knows."""
        return self._values.encode(value)

    def decode(self, payload: bytes) -> Any:
        """What the user sees of a stored value."""
        if self._groups is not None:
            return self._groups.result(self._groups.decode(payload))
        return self._values.decode(payload)
