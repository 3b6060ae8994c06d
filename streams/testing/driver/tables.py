"""A table of the app under test, as of the last commit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from state.task_stores import TaskStores
from streams.errors import StreamsError
from streams.graph.definitions import StoreDef
from streams.operators.stored import StoredForm
from streams.windows import Windowed


class DriverTable:
    """Looks into the stores of all tasks that keep the table. Keys of a windowed one are `Windowed`."""

    def __init__(self, store: StoreDef, stores: list[TaskStores]) -> None:
        self._store = store
        self._stores = stores
        self._form = StoredForm(store)

    def __repr__(self) -> str:
        return f"<DriverTable {self._store.name}: {dict(self.items())!r}>"

    def get(self, key: Any, default: Any = None, *, as_of: int | None = None) -> Any:
        """The value of a key; `default` if the table lacks it. `as_of` (ms), for a versioned table: the value then."""
        store_key = self._entry(key)
        if as_of is not None or self._store.versioned:
            versions = (stores.versioned(self._store.name).get(store_key, as_of) for stores in self._stores)
            version = next((one for one in versions if one is not None), None)
            return default if version is None else self._form.decode(version.value)
        found = (stores.get(self._store.name, store_key) for stores in self._stores)
        stamped = next((one for one in found if one is not None), None)
        return default if stamped is None else self._form.decode(stamped[0])

    def _entry(self, key: Any) -> bytes:
        if self._store.windowed and not isinstance(key, Windowed):
            raise StreamsError(
                f"table {self._store.name!r} has windows, and its keys are Windowed(key, start, end), not {key!r}; "
                ".windows(key) gives every window of a key, .window(key, timestamp) the one that holds a time"
            )
        return self._form.entry(key)

    def history(self, key: Any) -> list[tuple[Any, int, int | None]]:
        """(value, valid from, valid to) of each version of a key that a versioned table knows, the earliest first."""
        store_key = self._form.entry(key)
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
        """The value of a key in the latest window that holds `timestamp` (ms), None if there is none: of windows that
        overlap the one that begins last.
        """
        found = self._form.latest_window(timestamp)
        if found is not None:
            return self.get(Windowed(key, *found))
        holding = [value for window, value in self.windows(key) if window.start <= timestamp <= window.end]
        return holding[-1] if holding else None

    def windows(self, key: Any) -> list[tuple[Windowed[Any], Any]]:
        """(key in its window, value) of every window of a key, earliest first: of sessions, each."""
        found = [(window, value) for window, value in self.items() if window.key == key]
        return sorted(found, key=lambda one: (one[0].start, one[0].end))

    def items(self) -> list[tuple[Any, Any]]:
        """(key, value) of every entry: task by task, in the order of the stored keys."""
        return [(self._form.key(store_key), self._form.decode(payload)) for store_key, payload in self._entries()]

    def _entries(self) -> Iterator[tuple[bytes, bytes]]:
        for stores in self._stores:
            name = self._store.name
            with stores.scan(name) as entries:
                yield from [(key, payload) for key, payload, _ in entries]
