"""A task's view of a versioned table: as any other of the latest values, and of those of earlier times besides.

What memory holds of the latest values is decoded, as for every table; versions are kept encoded by the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from state.keys import TIME_MAX
from streams.graph.definitions import StoreDef
from streams.operators.table_view import GONE, TableView

if TYPE_CHECKING:
    from state.api import Version
    from state.layers.versioned import VersionedLayer
    from streams.operators.base import Found, TaskContext


class VersionedView(TableView):
    """The versioned table `definition` in the task of `context`. It is written with `put_version`."""

    def __init__(self, definition: StoreDef, context: TaskContext) -> None:
        super().__init__(definition, context)
        self._context = context
        self._versions = context.stores.versioned(definition.name)

    # -- versions

    @property
    def newest(self) -> int:
        """The largest timestamp put so far (ms): a restart needs it to go on as it was."""
        return self._versions.observed

    def advance(self, time_ms: int) -> None:
        """Sets the table's time after a restart."""
        self._versions.advance(time_ms)

    def put_version(self, key: bytes, value: Any, timestamp: int) -> int | None:
        """Sets what the key is from `timestamp` on, None deletes. Gives when the next version begins, TIME_MAX if there
        is none; None if it is too late, and nothing is changed.
        """
        self._versions.bound = self._context.time_bound
        encoded = None if value is None else self._values.encode(value)
        ended = self._versions.put(key, encoded, timestamp)
        if ended == TIME_MAX:
            self._cache[key] = GONE if encoded is None else self._unpack(encoded)
        return ended

    def get_at(self, key: Any, time: int, absent: Any = None) -> Any:
        """The value of a key at a time (ms), the caller's own; `absent` too for a time that is too long ago."""
        found = self._version(self.entry(key), time)
        return absent if found is None else self._decoded(found.value)

    def stamped_at(self, keys: Sequence[Any], times: Sequence[int]) -> list[Found]:
        """Value and timestamp of each key at each time (ms), None where there was none."""
        self._versions.bound = self._context.time_bound
        entries = [None if key is None else self.entry(key) for key in keys]
        found = [
            None if entry is None else self._version(entry, time) for entry, time in zip(entries, times, strict=True)
        ]
        return [None if one is None else (self._decoded(one.value), one.valid_from) for one in found]

    def history(self, key: Any) -> list[tuple[Any, int, int | None]]:
        """(value, valid from, valid to) of each version that can be asked for, the earliest first."""
        return [(self._decoded(found.value), *found[1:]) for found in self._versions.history(self.entry(key))]

    def _version(self, entry: bytes, time: int) -> Version | None:
        return self._versions.get(entry, time)

    # -- the latest

    def _load(self, entry: bytes) -> Any:
        found = self._versions.get(entry)
        value = self._cache[entry] = GONE if found is None else self._unpack(found.value)
        return value

    def _load_many(self, entries: set[bytes]) -> None:
        for entry in entries:
            self._load(entry)

    def stamped(self, keys: Sequence[Any]) -> list[Found]:
        entries = [None if key is None else self.entry(key) for key in keys]
        found = [None if entry is None else self._versions.get(entry) for entry in entries]
        return [None if one is None else (self._decoded(one.value), one.valid_from) for one in found]

    @property
    def _store(self) -> VersionedLayer:
        return self._versions

    # -- commit

    def save(self) -> Iterator[None]:
        """Before a commit: what can no longer be asked for goes."""
        self._versions.bound = self._context.time_bound
        self._versions.expire()
        self.trim()
        yield

    def trim(self) -> None:
        super().trim()
        self._versions.trim()
