"""A table of the app under test, as of the last commit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of a key; `default` if the table lacks it."""
        store_key = self._store_key(key)
        found = (stores.get(self._store.name, store_key) for stores in self._stores)
        stamped = next((one for one in found if one is not None), None)
        return default if stamped is None else self._form.decode(stamped[0])

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
            name = self._store.name
            store = stores.window(name).inner if self._store.windowed else stores.key_value(name)
            with store.scan() as entries:
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
