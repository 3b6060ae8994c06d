"""A table of the app under test, as of the last commit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from state.api import Scanned
from state.keys import split_window_key, window_key
from state.task_stores import TaskStores
from streams.graph.definitions import StoreDef
from streams.operators.stored import StoredForm
from streams.windows import Windowed


class DriverTable:
    """Looks into the stores of all tasks that keep the table. Keys of a windowed one are `Windowed`."""

    def __init__(self, store: StoreDef, stores: list[TaskStores], step_ms: int | None) -> None:
        self._store = store
        self._stores = stores
        self._form = StoredForm(store)
        self._step_ms = step_ms

    def __repr__(self) -> str:
        return f"<DriverTable {self._store.name}: {dict(self.items())!r}>"

    def get(self, key: Any, default: Any = None, *, as_of: int | None = None) -> Any:
        """The value of a key; `default` if the table lacks it. `as_of` (ms), for a versioned table: the value then."""
        store_key = self._store_key(key)
        if as_of is not None or self._store.versioned:
            versions = (stores.versioned(self._store.name).get(store_key, as_of) for stores in self._stores)
            version = next((one for one in versions if one is not None), None)
            return default if version is None else self._form.decode(version.value)
        found = (stores.get(self._store.name, store_key) for stores in self._stores)
        stamped = next((one for one in found if one is not None), None)
        return default if stamped is None else self._form.decode(stamped[0])

    def history(self, key: Any) -> list[tuple[Any, int, int | None]]:
        """(value, valid from, valid to) of each version of a key that a versioned table knows, the earliest first."""
        store_key = self._store_key(key)
        found = (
            version for stores in self._stores for version in stores.versioned(self._store.name).history(store_key)
        )
        return [(self._form.decode(version.value), version.valid_from, version.valid_to) for version in found]

    def __getitem__(self, key: Any) -> Any:
        missing = object()
        found = self.get(key, missing)
        if found is missing:
            raise KeyError(key)
        return found

    def __contains__(self, key: Any) -> bool:
        missing = object()
        return self.get(key, missing) is not missing

    def __len__(self) -> int:
        return sum(1 for _ in self._entries())

    def window(self, key: Any, timestamp: int) -> Any:
        """The value of a key in the latest window that holds `timestamp` (ms), None if there is none: of tumbling
        windows the one, of hopping ones that which begins last.
        """
        size, step = self._store.window_size_ms or 1, self._step_ms or self._store.window_size_ms or 1
        start = timestamp // step * step
        return self.get(Windowed(key, start, start + size))

    def items(self) -> list[tuple[Any, Any]]:
        """(key, value) of every entry: task by task, in the order of the stored keys."""
        return [(self._key(store_key), self._form.decode(payload)) for store_key, payload in self._entries()]

    def _entries(self) -> Iterator[tuple[bytes, bytes]]:
        for stores in self._stores:
            with _store(stores, self._store).scan() as entries:
                yield from [(key, payload) for key, payload, _ in entries]

    def _store_key(self, key: Any) -> bytes:
        if not self._store.windowed:
            return self._form.keys.encode(key)
        return window_key(key.start, self._form.keys.encode(key.key))

    def _key(self, store_key: bytes) -> Any:
        if not self._store.windowed:
            return self._form.keys.decode(store_key)
        start, key = split_window_key(store_key)
        return Windowed(self._form.keys.decode(key), start, start + (self._store.window_size_ms or 0))


def _store(stores: TaskStores, store: StoreDef) -> Scanned:
    if store.windowed:
        return stores.window(store.name).inner
    return stores.versioned(store.name) if store.versioned else stores.key_value(store.name)
