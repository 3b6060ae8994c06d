"""Time to live for key-value stores: an index by timestamp in a map of its own, and our own tombstones.

The index is written with every commit and every restored record, never read on a put: an entry put again leaves its old
index entry behind, which is dropped when its time comes. It is keyed by timestamp and not by expiry, so that `ttl_ms`
may change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from state.api import Backend, Changes, Column, Stamped, Times
from state.keys import split_window_key, time_prefix
from state.layers.pending import PendingStore


def index_name(store: str) -> str:
    """The backend's name for the index of a store; no store name can hold a ':'."""
    return f"{store}:time"


def index_changes(
    store: str, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]
) -> Changes:
    """The index entries for a slice of a store's changes."""
    entries = sorted(
        time_prefix(timestamp) + key
        for key, value, timestamp in zip(keys, values, timestamps, strict=True)
        if value is not None
    )
    return Changes(index_name(store), entries, [b""] * len(entries))


class TtlStore:
    """A key-value store whose entries live until their timestamp is `ttl_ms` old.

    Time is an input: `advance(time_ms)` moves it (never back), from then on reads do not see what has expired, whenever
    that is removed. `expire(time_ms)` also removes it, from the changelog too; call it before a commit.

    >>> from state.backends.memory import MemoryBackend
    >>> backend = MemoryBackend()
    >>> backend.open_store("sessions"); backend.open_store(index_name("sessions"))
    >>> store = TtlStore(PendingStore("sessions", backend), backend, ttl_ms=1000)
    >>> store.put(b"ann", b"on", timestamp=0)
    >>> store.advance(999); store.get(b"ann")
    b'on'
    >>> store.expire(1000), store.get(b"ann")
    ([b'ann'], None)
    """

    def __init__(self, inner: PendingStore, backend: Backend, ttl_ms: int) -> None:
        self.name = inner.name
        self.inner = inner
        self.ttl_ms = ttl_ms
        self._backend = backend
        self._cutoff: int | None = None
        self._cleared: bytes | None = None

    def advance(self, time_ms: int) -> None:
        """Set the store's time; a time before it changes nothing."""
        cutoff = time_ms - self.ttl_ms
        if self._cutoff is None or cutoff > self._cutoff:
            self._cutoff = cutoff

    def get(self, key: bytes) -> bytes | None:
        stamped = self.get_stamped(key)
        return None if stamped is None else stamped[0]

    def get_stamped(self, key: bytes) -> Stamped | None:
        return self._fresh(self.inner.get_stamped(key))

    def get_many(self, keys: Sequence[bytes]) -> list[Stamped | None]:
        return list(map(self._fresh, self.inner.get_many(keys)))

    def put(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Set a value; None deletes."""
        self.inner.put(key, value, timestamp)

    def put_many(self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]) -> None:
        self.inner.put_many(keys, values, timestamps)

    def put_block(self, keys: Column, values: Column, timestamps: Times, *, more: bool = False) -> None:
        self.inner.put_block(keys, values, timestamps, more=more)

    @contextmanager
    def scan(
        self, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[Iterator[tuple[bytes, bytes, int]]]:
        """(key, value, timestamp) of what has not expired, in key order."""
        with self.inner.scan(start, stop, reverse=reverse) as rows:
            cutoff = self._cutoff
            yield rows if cutoff is None else (row for row in rows if row[2] > cutoff)

    def expire(self, time_ms: int) -> list[bytes]:
        """Advance and remove what has expired; returns its keys, for the deletions to be passed on."""
        self.advance(time_ms)
        cutoff = self._cutoff
        assert cutoff is not None
        stop = time_prefix(cutoff + 1)
        # What is before has been dealt with since the index was last written.
        with self._backend.scan(index_name(self.name), self._cleared, stop) as entries:
            candidates = {split_window_key(key)[1] for key, _ in entries}
        if candidates:
            self._cleared = stop
        candidates.update(self.inner.older_than(cutoff))
        keys = sorted(candidates)
        expired = [
            (key, found[1])
            for key, found in zip(keys, self.inner.get_many(keys), strict=True)
            if found is not None and found[1] <= cutoff
        ]
        self.inner.delete_many([key for key, _ in expired], [timestamp + self.ttl_ms for _, timestamp in expired])
        return [key for key, _ in expired]

    def take_cleared(self) -> Changes | None:
        """The part of the index that has been dealt with since the last call, as a change for the backend."""
        stop, self._cleared = self._cleared, None
        return None if stop is None else Changes(index_name(self.name), [], [], (b"", stop))

    def abandon(self) -> None:
        """Forget what was to be cleared: the deletions it belonged to did not happen."""
        self._cleared = None

    def _fresh(self, stamped: Stamped | None) -> Stamped | None:
        if stamped is None or self._cutoff is None or stamped[1] > self._cutoff:
            return stamped
        return None
