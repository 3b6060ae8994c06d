"""A backend in memory: for tests, for tasks whose state need not outlive them, and for Pythons without a RocksDB
wheel."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from state.api import META, Changes, UnknownStoreError


class MemoryBackend:
    """Sorted maps in memory; a copy taken between two writes is what a crash there would leave.

    >>> backend = MemoryBackend()
    >>> backend.open_store("late")
    >>> backend.write([Changes("late", [b"AA", b"UA"], [b"1", b"2"])])
    >>> backend.get("late", b"UA")
    b'2'
    """

    def __init__(self) -> None:
        self._maps: dict[str, dict[bytes, bytes]] = {META: {}}
        self._sorted: dict[str, list[bytes]] = {}

    def stores(self) -> list[str]:
        return sorted(name for name in self._maps if name != META)

    def open_store(self, store: str) -> None:
        self._maps.setdefault(store, {})

    def drop_store(self, store: str) -> None:
        self._map(store).clear()
        del self._maps[store]
        self._sorted.pop(store, None)

    def get(self, store: str, key: bytes) -> bytes | None:
        return self._map(store).get(key)

    def get_many(self, store: str, keys: Sequence[bytes]) -> list[bytes | None]:
        return list(map(self._map(store).get, keys))

    @contextmanager
    def scan(
        self, store: str, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[Iterator[tuple[bytes, bytes]]]:
        entries = self._map(store)
        keys = self._range(store, start, stop)
        rows = [(key, entries[key]) for key in keys]
        yield iter(rows[::-1] if reverse else rows)

    def write(self, changes: Sequence[Changes], *, durable: bool = True, sync: bool = False) -> None:
        for store, keys, values, cleared in changes:
            entries = self._map(store)
            if cleared is not None:
                for key in self._range(store, *cleared):
                    del entries[key]
            for key, value in zip(keys, values, strict=True):
                if value is None:
                    entries.pop(key, None)
                else:
                    entries[key] = value
            self._sorted.pop(store, None)

    def flush_steps(self) -> Iterator[None]:
        """Nothing to do: memory lasts as long as the process."""
        return iter(())

    def keep(self, owner: object, size_bytes: int) -> bool:
        """Always: what is kept is in memory anyway."""
        return True

    def busy(self, store: str) -> bool:
        """Never: there is no work behind a write."""
        return False

    def close(self) -> None:
        """Nothing to do: the object may be used again, as a folder may be opened again."""

    def copy(self) -> MemoryBackend:
        """What a crash at this moment leaves behind."""
        twin = MemoryBackend()
        twin._maps = {store: dict(entries) for store, entries in self._maps.items()}
        return twin

    def size_bytes(self) -> int:
        return sum(sum(map(len, entries)) + sum(map(len, entries.values())) for entries in self._maps.values())

    def _map(self, store: str) -> dict[bytes, bytes]:
        try:
            return self._maps[store]
        except KeyError:
            raise UnknownStoreError(
                f"store {store} is not open; open now: {', '.join(self.stores()) or 'none'}"
            ) from None

    def _range(self, store: str, start: bytes | None, stop: bytes | None) -> list[bytes]:
        keys = self._sorted.get(store)
        if keys is None:
            keys = self._sorted[store] = sorted(self._map(store))
        low = 0 if start is None else bisect_left(keys, start)
        high = len(keys) if stop is None else bisect_left(keys, stop)
        return keys[low:high]
