"""The typed layer: keys and values as Python objects over a bytes store, by four functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from state.api import KeyValueStore, WindowStore

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Codec(Generic[K, V]):
    """How keys and values become bytes and back. Keys to be scanned in their own order need bytes of that order."""

    encode_key: Callable[[K], bytes]
    decode_key: Callable[[bytes], K]
    encode: Callable[[V], bytes]
    decode: Callable[[bytes], V]


class TypedStore(Generic[K, V]):
    """A key-value store of Python objects.

    >>> from state.backends.memory import MemoryBackend
    >>> from state.layers.pending import PendingStore
    >>> backend = MemoryBackend()
    >>> backend.open_store("late")
    >>> codec = Codec(str.encode, bytes.decode, lambda n: b"%d" % n, int)
    >>> store = TypedStore(PendingStore("late", backend), codec)
    >>> store.put("AA", 3, timestamp=7)
    >>> store.get("AA"), store.get("UA")
    (3, None)
    """

    def __init__(self, inner: KeyValueStore, codec: Codec[K, V]) -> None:
        self.name = inner.name
        self.inner = inner
        self.codec = codec

    def get(self, key: K) -> V | None:
        found = self.inner.get(self.codec.encode_key(key))
        return None if found is None else self.codec.decode(found)

    def get_stamped(self, key: K) -> tuple[V, int] | None:
        """Value and timestamp."""
        found = self.inner.get_stamped(self.codec.encode_key(key))
        return None if found is None else (self.codec.decode(found[0]), found[1])

    def get_many(self, keys: Iterable[K]) -> list[tuple[V, int] | None]:
        """Values and timestamps in the order of the keys."""
        decode = self.codec.decode
        found = self.inner.get_many([self.codec.encode_key(key) for key in keys])
        return [None if one is None else (decode(one[0]), one[1]) for one in found]

    def put(self, key: K, value: V | None, timestamp: int) -> None:
        """Set a value; None deletes."""
        self.inner.put(self.codec.encode_key(key), None if value is None else self.codec.encode(value), timestamp)

    def put_many(self, keys: Iterable[K], values: Iterable[V | None], timestamps: Sequence[int]) -> None:
        """Set many values at once."""
        encode = self.codec.encode
        self.inner.put_many(
            [self.codec.encode_key(key) for key in keys],
            [None if value is None else encode(value) for value in values],
            timestamps,
        )

    @contextmanager
    def scan(
        self, start: K | None = None, stop: K | None = None, *, reverse: bool = False
    ) -> Iterator[Iterator[tuple[K, V, int]]]:
        """(key, value, timestamp) with start <= key < stop, in the order of the encoded keys."""
        codec = self.codec
        low = None if start is None else codec.encode_key(start)
        high = None if stop is None else codec.encode_key(stop)
        with self.inner.scan(low, high, reverse=reverse) as rows:
            yield ((codec.decode_key(key), codec.decode(value), timestamp) for key, value, timestamp in rows)


class TypedWindowStore(Generic[K, V]):
    """A window store of Python objects.

    >>> from state.backends.memory import MemoryBackend
    >>> from state.layers.pending import PendingStore
    >>> from state.layers.window import WindowLayer
    >>> backend = MemoryBackend()
    >>> backend.open_store("hourly")
    >>> codec = Codec(str.encode, bytes.decode, lambda n: b"%d" % n, int)
    >>> store = TypedWindowStore(WindowLayer(PendingStore("hourly", backend)), codec)
    >>> store.put("AA", 3_600_000, 12, timestamp=3_600_005)
    >>> with store.block(3_600_000) as entries:
    ...     list(entries)
    [('AA', 12, 3600005)]
    """

    def __init__(self, inner: WindowStore, codec: Codec[K, V]) -> None:
        self.name = inner.name
        self.inner = inner
        self.codec = codec

    def get(self, key: K, start: int) -> V | None:
        found = self.inner.get(self.codec.encode_key(key), start)
        return None if found is None else self.codec.decode(found)

    def put(self, key: K, start: int, value: V | None, timestamp: int) -> None:
        """Set the value of a key in the window starting there; None deletes."""
        encoded = None if value is None else self.codec.encode(value)
        self.inner.put(self.codec.encode_key(key), start, encoded, timestamp)

    @contextmanager
    def block(self, start: int) -> Iterator[Iterator[tuple[K, V, int]]]:
        """(key, value, timestamp) of one window, in the order of the encoded keys."""
        codec = self.codec
        with self.inner.block(start) as rows:
            yield ((codec.decode_key(key), codec.decode(value), timestamp) for key, value, timestamp in rows)
