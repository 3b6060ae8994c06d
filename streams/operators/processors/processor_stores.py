"""Stores as processors see them, over a task's view of each: what several steps use they see alike.

Keys come in the order of their bytes. A call that fails has its changes taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from state.keys import TIME_MAX, TIME_MIN
from streams.errors import ConfigError, StreamsError
from streams.graph.definitions import StoreDef
from streams.graph.nodes import ProcessNode, TableTransformValuesNode
from streams.operators.base import NO_TIME, TaskContext
from streams.windows import Windowed

if TYPE_CHECKING:
    from streams.operators.table_view import TableView, Undo
    from streams.operators.versioned_view import VersionedView


UserOfStores = ProcessNode | TableTransformValuesNode


def stores_of(node: UserOfStores, context: TaskContext) -> dict[str, AnyStore]:
    """The stores of a step, by name."""
    written = {store.name for store in node.written}
    kinds: dict[str, type[AnyStore]] = {
        "key_value": KeyValue,
        "window": Windows,
        "session": Sessions,
        "versioned": Versioned,
    }
    return {store.name: kinds[store.kind](store, node, context, writable=store.name in written) for store in node.used}


class _Store:
    """A view, what was changed in it by the call that runs now, and the time of that call."""

    def __init__(self, definition: StoreDef, node: UserOfStores, context: TaskContext, *, writable: bool) -> None:
        self.name = definition.name
        self._definition = definition
        self._node = node
        self._context = context
        self._view: TableView = context.view(definition)
        self._undo: Undo = []
        self._writable = writable
        self._time_ms = 0

    def begin(self, time_ms: int) -> None:
        self._time_ms = time_ms

    def take_back(self) -> None:
        for view, entry, old, timestamp, new in reversed(self._undo):
            view.undo(entry, old, timestamp, new)
        self._undo.clear()

    def keep(self) -> None:
        self._undo.clear()
        self._view.trim()

    def save(self) -> Iterator[None]:
        yield from self._view.save()

    def _write(self, entry: bytes, value: Any, timestamp: int | None) -> None:
        if not self._writable:
            raise StreamsError(f"store {self.name!r} is written by the step that keeps it; a processor may read it")
        self._view.write(entry, value, self._time_ms if timestamp is None else timestamp, self._undo)


class KeyValue(_Store):
    """A value for each key; None is no value (`KeyValueStore` in Kafka Streams)."""

    def get(self, key: Any) -> Any:
        """The value of a key, None if there is none. It is the caller's own: to change it in the store, put it."""
        return self._view.get(key)

    def __contains__(self, key: Any) -> bool:
        return self._view.get(key) is not None

    def put(self, key: Any, value: Any, timestamp: int | None = None) -> None:
        """Sets a value; None deletes. It is stamped with the time of the call unless told."""
        self._write(self._view.entry(key), value, timestamp)

    def put_if_absent(self, key: Any, value: Any) -> Any:
        """Sets a value where there is none, and gives None; else gives what is there."""
        found = self.get(key)
        if found is None:
            self.put(key, value)
        return found

    def put_all(self, entries: Iterable[tuple[Any, Any]]) -> None:
        """Sets many values."""
        for key, value in entries:
            self.put(key, value)

    def delete(self, key: Any) -> Any:
        """Removes a key, and gives what it had."""
        found = self.get(key)
        self.put(key, None)
        return found

    def range(self, start: Any = None, stop: Any = None, *, reverse: bool = False) -> Iterator[tuple[Any, Any]]:
        """(key, value) with start <= key < stop in the order of key bytes, or the other way round; None is an open
        end. What it gives is how the store was when it began.
        """
        return self._view.range(start, stop, reverse=reverse)

    def all(self, *, reverse: bool = False) -> Iterator[tuple[Any, Any]]:
        """(key, value) of everything, in the order of key bytes, or the other way round."""
        return self._view.range(reverse=reverse)

    def prefix(self, prefix: str | bytes, *, reverse: bool = False) -> Iterator[tuple[Any, Any]]:
        """(key, value) of the keys that begin so; for keys that are text or bytes.

        Raises ConfigError for keys of another type: how those begin says nothing.
        """
        if self._definition.key_type not in (str, bytes):
            raise ConfigError(f"prefix: store {self.name!r} needs key_type=str or bytes for that")
        return self._view.beginning_with(self._view.entry(prefix), reverse=reverse)


class Versioned(KeyValue):
    """A versioned table, for reading: what it has now, and what it had."""

    def get_at(self, key: Any, time: int) -> Any:
        """The value of a key at a time (ms); None if it had none, and for a time that is too long ago."""
        view: VersionedView = self._view  # type: ignore[assignment]  # as the store is versioned
        return view.get_at(key, time)


class _Timed(_Store):
    """Entries that have a time, and go when it is `retention` before the latest that was put."""

    def __init__(self, definition: StoreDef, node: UserOfStores, context: TaskContext, *, writable: bool) -> None:
        super().__init__(definition, node, context, writable=writable)
        self._clock = f"store {self.name}"
        if writable:
            seen = context.load_clock(self._clock)
            self._view.observe(self._clock, max(self._seen, NO_TIME if seen is None else seen))
        self._before = self._seen

    @property
    def _seen(self) -> int:
        return self._view.observed(self._clock, NO_TIME)

    def begin(self, time_ms: int) -> None:
        super().begin(time_ms)
        self._before = self._seen

    def take_back(self) -> None:
        super().take_back()
        if self._writable:
            self._view.observe(self._clock, self._before)

    def save(self) -> Iterator[None]:
        if self._writable:
            self._context.save_clock(self._clock, self._seen)
        yield from super().save()

    def _alive(self, time: int) -> bool:
        retention = self._definition.retention_ms
        return retention is None or not self._writable or time > self._seen - retention

    def _put(self, entry: bytes, value: Any, time: int) -> bool:
        if self._writable:
            self._view.observe(self._clock, max(self._seen, time))
        if not self._alive(time):
            self._context.failures.dropped(self._node, "late", 1)
            return False
        self._write(entry, value, None)
        return True


class Windows(_Timed):
    """A value for each key and window start (ms); None is no value (`WindowStore` in Kafka Streams).

    An entry is there while its start is less than `retention` before the latest start that was put; later ones cannot
    be put any more, and are counted.
    """

    def put(self, key: Any, value: Any, start: int) -> bool:
        """Sets the value of a key in the window that starts at `start` (ms); None deletes. False if that is too long
        ago.
        """
        return self._put(self._view.entry_at(key, start), value, start)

    def get(self, key: Any, start: int) -> Any:
        """The value of a key in the window that starts at `start`; None if there is none."""
        return self._view.read(self._view.entry_at(key, start), None) if self._alive(start) else None

    def fetch(self, key: Any, first: int, last: int, *, reverse: bool = False) -> list[tuple[int, Any]]:
        """(start, value) of a key in the windows that start from `first` to `last`, both included."""
        starts = self._starts(first, last, reverse)
        found = ((start, self.get(key, start)) for start in starts)
        return [(start, value) for start, value in found if value is not None]

    def fetch_all(self, first: int, last: int, *, reverse: bool = False) -> Iterator[tuple[Any, int, Any]]:
        """(key, start, value) of all keys in the windows that start from `first` to `last`, both included: by start,
        then by key bytes.
        """
        for start in self._starts(first, last, reverse):
            entries = list(self._view.window(start))
            for key, value in reversed(entries) if reverse else entries:
                yield key, start, value

    def all(self, *, reverse: bool = False) -> Iterator[tuple[Any, int, Any]]:
        """(key, start, value) of everything."""
        return self.fetch_all(-(2**62), 2**62, reverse=reverse)

    def _starts(self, first: int, last: int, reverse: bool) -> list[int]:
        starts = [start for start in self._view.starts() if first <= start <= last and self._alive(start)]
        return starts[::-1] if reverse else starts


class Sessions(_Timed):
    """A value for each key, start and end (ms, both included); None is no value (`SessionStore` in Kafka Streams).

    An entry is there while its end is less than `retention` before the latest end that was put; later ones cannot be
    put any more, and are counted.
    """

    def put(self, key: Any, value: Any, start: int, end: int) -> bool:
        """Sets the value of a key's session; None deletes. False if its end is too long ago."""
        return self._put(self._view.entry_of(Windowed(key, start, end)), value, end)

    def delete(self, key: Any, start: int, end: int) -> bool:
        """Removes a session."""
        return self.put(key, None, start, end)

    def get(self, key: Any, start: int, end: int) -> Any:
        """The value of a session; None if there is none."""
        return self._view.read(self._view.entry_of(Windowed(key, start, end)), None) if self._alive(end) else None

    def find(
        self, key: Any, earliest_end: int, latest_start: int, *, reverse: bool = False
    ) -> list[tuple[int, int, Any]]:
        """(start, end, value) of a key's sessions that end at `earliest_end` or later and start at `latest_start` or
        before, by end, then by start: those that a record of these times would meet.
        """
        found = [
            (session.start, session.end, value)
            for session, value in self._view.sessions_from(earliest_end)
            if session.key == key and session.start <= latest_start and self._alive(session.end)
        ]
        return found[::-1] if reverse else found

    def fetch(self, key: Any, *, reverse: bool = False) -> list[tuple[int, int, Any]]:
        """(start, end, value) of all sessions of a key."""
        return self.find(key, TIME_MIN, TIME_MAX, reverse=reverse)

    def all(self) -> Iterator[tuple[Any, int, int, Any]]:
        """(key, start, end, value) of everything, by end, then by start, then by key bytes."""
        for session, value in self._view.sessions_from(None):
            if self._alive(session.end):
                yield session.key, session.start, session.end, value


AnyStore = KeyValue | Windows | Sessions
