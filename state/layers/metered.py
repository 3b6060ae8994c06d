"""The metering layer: counts and times the calls to a store, under the names Kafka Streams gives its store metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns

from state.api import KeyValueStore, Stamped


@dataclass(slots=True)
class StoreMetrics:
    """Totals since the store was opened: calls and nanoseconds in them; `put_many` and `get_many` count each key."""

    get_total: int = 0
    get_ns_total: int = 0
    put_total: int = 0
    put_ns_total: int = 0
    delete_total: int = 0
    range_total: int = 0
    open_iterators: int = 0


class MeteredStore:
    """A key-value store that counts into `metrics`.

    >>> from state.backends.memory import MemoryBackend
    >>> from state.layers.pending import PendingStore
    >>> backend = MemoryBackend()
    >>> backend.open_store("late")
    >>> store = MeteredStore(PendingStore("late", backend))
    >>> store.put(b"AA", b"1", timestamp=7); store.put(b"AA", None, timestamp=8)
    >>> store.metrics.put_total, store.metrics.delete_total
    (1, 1)
    """

    def __init__(self, inner: KeyValueStore, metrics: StoreMetrics | None = None) -> None:
        self.name = inner.name
        self.inner = inner
        self.metrics = StoreMetrics() if metrics is None else metrics

    def get(self, key: bytes) -> bytes | None:
        began = perf_counter_ns()
        found = self.inner.get(key)
        self._got(1, began)
        return found

    def get_stamped(self, key: bytes) -> Stamped | None:
        began = perf_counter_ns()
        found = self.inner.get_stamped(key)
        self._got(1, began)
        return found

    def get_many(self, keys: Sequence[bytes]) -> list[Stamped | None]:
        began = perf_counter_ns()
        found = self.inner.get_many(keys)
        self._got(len(keys), began)
        return found

    def put(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Set a value; None deletes."""
        began = perf_counter_ns()
        self.inner.put(key, value, timestamp)
        self._put(1, value is None, began)

    def put_many(self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]) -> None:
        """Set many values at once."""
        began = perf_counter_ns()
        self.inner.put_many(keys, values, timestamps)
        self._put(len(keys), list(values).count(None), began)

    @contextmanager
    def scan(
        self, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[Iterator[tuple[bytes, bytes, int]]]:
        """(key, value, timestamp) with start <= key < stop, in key order."""
        self.metrics.range_total += 1
        self.metrics.open_iterators += 1
        try:
            with self.inner.scan(start, stop, reverse=reverse) as rows:
                yield rows
        finally:
            self.metrics.open_iterators -= 1

    def _got(self, count: int, began: int) -> None:
        self.metrics.get_total += count
        self.metrics.get_ns_total += perf_counter_ns() - began

    def _put(self, count: int, deleted: int, began: int) -> None:
        self.metrics.put_total += count - deleted
        self.metrics.delete_total += deleted
        self.metrics.put_ns_total += perf_counter_ns() - began
