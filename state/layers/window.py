"""The window layer: a table by window start and key over a key-value layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from state.api import Stamped
from state.keys import TIME_MAX, split_window_key, time_prefix, window_block, window_key
from state.layers.pending import PendingStore


class WindowLayer:
    """A window store: entries by start (int64 ms) and key, one window one sorted block.

    >>> from state.backends.memory import MemoryBackend
    >>> backend = MemoryBackend()
    >>> backend.open_store("hourly")
    >>> store = WindowLayer(PendingStore("hourly", backend))
    >>> store.put(b"AA", 3_600_000, b"1", timestamp=3_600_005)
    >>> store.put(b"AA", 0, b"7", timestamp=9)
    >>> store.get(b"AA", 0), store.starts()
    (b'7', [0, 3600000])
    >>> store.expire(before_start=3_600_000)
    >>> store.starts()
    [3600000]
    """

    def __init__(self, inner: PendingStore) -> None:
        self.name = inner.name
        self.inner = inner

    def get(self, key: bytes, start: int) -> bytes | None:
        return self.inner.get(window_key(start, key))

    def get_stamped(self, key: bytes, start: int) -> Stamped | None:
        return self.inner.get_stamped(window_key(start, key))

    def get_many(self, entries: Sequence[tuple[bytes, int]]) -> list[Stamped | None]:
        """Values of (key, start) pairs, in their order."""
        return self.inner.get_many([window_key(start, key) for key, start in entries])

    def put(self, key: bytes, start: int, value: bytes | None, timestamp: int) -> None:
        """Set the value of a key in the window starting there; None deletes."""
        self.inner.put(window_key(start, key), value, timestamp)

    @contextmanager
    def block(self, start: int) -> Iterator[Iterator[tuple[bytes, bytes, int]]]:
        """(key, value, timestamp) of one window, in key order."""
        with self.inner.scan(*window_block(start)) as rows:
            yield ((store_key[8:], value, timestamp) for store_key, value, timestamp in rows)

    @contextmanager
    def entries(self, from_start: int | None = None) -> Iterator[Iterator[tuple[int, bytes, bytes, int]]]:
        """(start, key, value, timestamp) of the windows that start there or later, in the order of start and key."""
        with self.inner.scan(None if from_start is None else time_prefix(from_start)) as rows:
            yield ((*split_window_key(store_key), value, timestamp) for store_key, value, timestamp in rows)

    def starts(self) -> list[int]:
        """The distinct window starts, ascending; one seek each."""
        found: list[int] = []
        at: bytes | None = None
        while True:
            with self.inner.scan(at) as rows:
                first = next(rows, None)
            if first is None:
                return found
            found.append(split_window_key(first[0])[0])
            if found[-1] == TIME_MAX:
                return found
            at = time_prefix(found[-1] + 1)

    def expire(self, before_start: int) -> None:
        """Remove the windows that start before. Call it once a commit, with the latest time.

        The changelog gets a tombstone for each entry it knows; a window put and expired between two commits reaches
        neither the changelog nor the backend.
        """
        self.inner.clear_before(time_prefix(before_start), timestamp=max(0, before_start))
