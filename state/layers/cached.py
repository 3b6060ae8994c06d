"""The caching layer: decoded values stay in memory, and are encoded once a commit however often they change."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from state.api import StateError
from state.layers.typed import TypedStore
from state.ttl import TtlStore

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class CachedStore(Generic[K, V]):
    """A typed key-value store with a cache of at most `max_entries` values that are not waiting to be written.

    A value handed over belongs to the store from then on and is never changed in place; it is encoded at the next
    `flush`, which a TaskStores it is attached to calls at a commit. A hit costs a tenth of a read through RocksDB and a
    decoder. Raises StateError over a store with a TTL: a cached value would outlive it.

    >>> from state.backends.memory import MemoryBackend
    >>> from state.layers.pending import PendingStore
    >>> from state.layers.typed import Codec
    >>> backend = MemoryBackend()
    >>> backend.open_store("late")
    >>> inner = TypedStore(PendingStore("late", backend), Codec(str.encode, bytes.decode, lambda n: b"%d" % n, int))
    >>> store = CachedStore(inner, max_entries=1000)
    >>> store.put("AA", 3, timestamp=7)
    >>> store.get("AA"), inner.get("AA")
    (3, None)
    >>> store.flush(); inner.get("AA")
    3
    """

    def __init__(self, inner: TypedStore[K, V], max_entries: int) -> None:
        if isinstance(inner.inner, TtlStore):
            raise StateError(f"store {inner.name} has a TTL: it cannot be cached above the layer that knows the time")
        self.name = inner.name
        self.inner = inner
        self._max_entries = max_entries
        self._cache: dict[K, tuple[V | None, int]] = {}
        self._changed: dict[K, tuple[V | None, int]] = {}

    @property
    def pending_entries(self) -> int:
        """Changes since the last flush."""
        return len(self._changed)

    def get(self, key: K) -> V | None:
        found = self._changed.get(key) or self._cache.get(key)
        if found is None:
            stamped = self.inner.get_stamped(key)
            found = self._cache[key] = (None, 0) if stamped is None else stamped
            if len(self._cache) > self._max_entries:
                del self._cache[next(iter(self._cache))]
        return found[0]

    def put(self, key: K, value: V | None, timestamp: int) -> None:
        """Set a value; None deletes."""
        self._changed[key] = (value, timestamp)

    def flush(self) -> None:
        """Hand the changes to the layer below, each value encoded once."""
        changed = self._changed
        if not changed:
            return
        self.inner.put_many(changed, (value for value, _ in changed.values()), [time for _, time in changed.values()])
        for key in changed:
            self._cache.pop(key, None)  # what was changed last is evicted last
        self._cache.update(changed)
        self._changed = {}
        for key in list(self._cache)[: max(0, len(self._cache) - self._max_entries)]:
            del self._cache[key]

    def abandon(self) -> None:
        """Forget everything: what is cached may be what was not committed."""
        self._cache, self._changed = {}, {}
