"""The session layer: a table by key, start and end over a key-value layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from state.api import Stamped
from state.keys import session_key, split_session_key, time_prefix
from state.layers.pending import PendingStore


class SessionLayer:
    """A session store: entries by end, start (int64 ms, both inclusive) and key.

    >>> from state.backends.memory import MemoryBackend
    >>> backend = MemoryBackend()
    >>> backend.open_store("visits")
    >>> store = SessionLayer(PendingStore("visits", backend))
    >>> store.put(b"AA", 20, 30, b"2", timestamp=30)
    >>> store.put(b"AA", 0, 7, b"1", timestamp=7)
    >>> store.get_stamped(b"AA", 0, 7)
    (b'1', 7)
    >>> store.expire(before_end=8)
    >>> with store.entries() as found:
    ...     list(found)
    [(20, 30, b'AA', b'2', 30)]
    """

    def __init__(self, inner: PendingStore) -> None:
        self.name = inner.name
        self.inner = inner

    def get_stamped(self, key: bytes, start: int, end: int) -> Stamped | None:
        return self.inner.get_stamped(session_key(start, end, key))

    def put(self, key: bytes, start: int, end: int, value: bytes | None, timestamp: int) -> None:
        """Set the value of a key's session; None deletes."""
        self.inner.put(session_key(start, end, key), value, timestamp)

    @contextmanager
    def entries(self, from_end: int | None = None) -> Iterator[Iterator[tuple[int, int, bytes, bytes, int]]]:
        """(start, end, key, value, timestamp) of the sessions that end there or later, in the order of end and
        start.
        """
        with self.inner.scan(None if from_end is None else time_prefix(from_end)) as rows:
            yield ((*split_session_key(store_key), value, timestamp) for store_key, value, timestamp in rows)

    def expire(self, before_end: int) -> None:
        """Remove the sessions that end before. Call it once a commit, with the latest time; as with windows, one that
        was put and expired between two commits reaches neither the changelog nor the backend.
        """
        self.inner.clear_before(time_prefix(before_end), timestamp=max(0, before_end))
