"""Tables by key and window: `table[key] += 1` counts in every window of the record at hand."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, cast

from streams.durations import Duration, to_ms
from streams.errors import ConfigError
from streams.table import ABSENT, K, Running, Table, TableAccessError, V, running
from streams.windows import HoppingWindow, SessionWindow, SlidingWindow, Window, Windowed, Windows


class WindowedTable(Table[K, Any], Generic[K, V]):
    """A table by key and window; `table[key]` is a `WindowSet`.

    `table[key] += 1` changes every window that the record at hand falls into; `table[key] = value` sets it there,
    `del table[key]` deletes it there. A change to a window that has expired is left out and counted as late.

    >>> from streams.app import App
    >>> App("flights").Table("late", default=int).tumbling("1h", expires="1d").window
    TumblingWindow('1h')
    """

    window: Window

    @classmethod
    def over(cls, table: Table[K, V], window: HoppingWindow, expires: Duration | None) -> WindowedTable[K, V]:
        """The table by windows, in its place."""
        if table.definition.windowed:
            raise ConfigError(f"table {table.name!r} has windows already: call tumbling() or hopping() once")
        if table.definition.ttl_ms is not None:
            raise ConfigError(f"table {table.name!r}: a table by windows has expires=, not ttl=")
        made = cls.__new__(cls)
        made.__dict__.update(table.__dict__)
        made.window = window
        made.definition.window_size_ms = window.size_ms
        made.definition.window = window
        if expires is not None:
            made.definition.retention_ms = max(window.size_ms, to_ms(expires, "expires"))
        made._app.tables[made.name] = made
        return made

    def __getitem__(self, key: K) -> WindowSet[K, V]:
        return WindowSet(self, key)

    def __setitem__(self, key: K, value: Any) -> None:
        if type(value) is not WindowSet:  # `table[key] += 1` ends here with the set itself, which has done it
            agent = self._writer()
            view, timestamp = self._view(agent), agent.moment()
            for start in self._open_starts(agent, timestamp):
                view.write(view.entry_at(key, start), value, timestamp, agent.undo)

    def __delitem__(self, key: K) -> None:
        self[key] = None

    def __contains__(self, key: object) -> bool:
        return self.at(cast(K, key), self._now_here(), ABSENT) is not ABSENT

    def get(self, key: K, default: Any = None, *, as_of: int | None = None) -> Any:
        """The value in the latest window of the record at hand, or of the time `as_of` (ms); else `default`."""
        return self.at(key, self._now_here() if as_of is None else as_of, default)

    def setdefault(self, key: K, default: Any = None) -> Any:
        """The value in the latest window of the record at hand; if it is not there, it is set in all its windows."""
        value = self.get(key, ABSENT)
        if value is ABSENT:
            value = self.default() if default is None and self.default is not None else default
            self[key] = value
        return value

    def at(self, key: K, timestamp: int, default: Any = None) -> Any:
        """The value in the latest window that holds `timestamp` (ms), or `default`."""
        if isinstance(self.window, SessionWindow | SlidingWindow):
            holding = [value for window, value in self.windows(key) if window.start <= timestamp <= window.end]
            return holding[-1] if holding else default
        start = self._latest_start(timestamp)
        if start is None:
            return default
        agent = running.get(None)
        if agent is not None:
            if self._expired(agent, start):
                return default
            view = self._view(agent)
            return view.read(view.entry_at(key, start), default)
        for view in self._views():
            value = view.read(view.entry_at(key, start), ABSENT)
            if value is not ABSENT:
                return value
        return default

    def apply(self, key: K, function: Callable[[Any, Any], Any], operand: Any) -> None:
        """Sets `function(value, operand)` in every window of the record at hand."""
        agent = self._writer()
        view, timestamp, default = self._view(agent), agent.moment(), self.default
        for start in self._open_starts(agent, timestamp):
            entry = view.entry_at(key, start)
            value = view.read(entry, ABSENT)
            if value is ABSENT:
                if default is None:
                    raise KeyError(key)
                value = default()
            view.write(entry, function(value, operand), timestamp, agent.undo)

    def all_windows(self) -> Iterator[tuple[K, int, int, V]]:
        """(key, start, end, value) of every window, by start (ms) and key; the end is exclusive."""
        for view in self._views():
            for window, value in view.windows():
                yield window.key, window.start, window.end, value

    def windows(self, key: K) -> list[tuple[Windowed[K], V]]:
        """(key in its window, value) of every window of a key, earliest first: of sessions, each."""
        found = [one for view in self._views() for one in view.windows() if one[0].key == key]
        return sorted(found, key=lambda one: (one[0].start, one[0].end))

    def _latest_start(self, timestamp: int) -> int | None:
        """The start of the window that holds a time, the one that begins last."""
        if isinstance(self.window, HoppingWindow):
            return timestamp // self.window.step_ms * self.window.step_ms
        assert isinstance(self.window, Windows)
        return next((start for start, _ in reversed(self.window.windows_for(timestamp))), None)

    def _rows(self) -> Iterator[tuple[K, V]]:
        """(key, value) of the latest window of the record at hand; outside an agent, of the window that is now."""
        now = self._now_here()
        if isinstance(self.window, SessionWindow | SlidingWindow):
            windows = (one for view in self._views() for one in view.windows())
            yield from ((window.key, value) for window, value in windows if window.start <= now <= window.end)
            return
        start, agent = self._latest_start(now), running.get(None)
        if start is not None and (agent is None or not self._expired(agent, start)):
            for view in self._views():
                yield from view.window(start)

    def _now_here(self) -> int:
        agent = running.get(None)
        return self.worker().now_ms() if agent is None else agent.moment()

    def _expired(self, agent: Running, start: int) -> bool:
        retention_ms = self.definition.retention_ms
        return retention_ms is not None and start + retention_ms <= agent.stream_time()

    def _open_starts(self, agent: Running, timestamp: int) -> Sequence[int]:
        """Starts of the windows that hold the timestamp and have not expired."""
        assert isinstance(self.window, HoppingWindow)  # agents write no others
        size, step = self.window.size_ms, self.window.step_ms
        starts = range(max(0, timestamp - size + step) // step * step, timestamp + 1, step)
        retention_ms = self.definition.retention_ms
        if retention_ms is None:
            return starts
        time = agent.stream_time()
        if not starts or starts[0] + retention_ms > time:
            return starts
        open_ = [start for start in starts if start + retention_ms > time]
        for _ in range(len(starts) - len(open_)):
            agent.late(self.name)
        return open_


class WindowSet(Generic[K, V]):
    """The windows of one key: `current()`, `now()`, `delta("1h")`; `+= 1` changes those of the record at hand.

    A window without a value gives the table's default, or raises KeyError if it has none.
    """

    __slots__ = ("_table", "key")

    def __init__(self, table: WindowedTable[K, V], key: K) -> None:
        self._table = table
        self.key = key

    def __repr__(self) -> str:
        return f"<WindowSet {self.key!r} of {self._table.name}>"

    def current(self) -> V:
        """The value in the latest window of the record at hand."""
        return self.at(self._moment())

    value = current

    def now(self) -> V:
        """The value in the window that is now, by the clock on the wall."""
        agent = running.get(None)
        return self.at(self._table.worker().now_ms() if agent is None else agent.now_ms())

    def delta(self, ago: Duration) -> V:
        """The value in the window that was `ago` before the record at hand."""
        return self.at(self._moment() - to_ms(ago, "delta"))

    def at(self, timestamp: int) -> V:
        """The value in the latest window that holds `timestamp` (ms)."""
        value = self._table.at(self.key, timestamp, ABSENT)
        if value is not ABSENT:
            return cast(V, value)
        if self._table.default is None:
            raise KeyError(self.key)
        return cast(V, self._table.default())

    def apply(self, function: Callable[[Any, Any], Any], operand: Any) -> WindowSet[K, V]:
        """Sets `function(value, operand)` in every window of the record at hand."""
        self._table.apply(self.key, function, operand)
        return self

    def _moment(self) -> int:
        agent = running.get(None)
        if agent is None:
            raise TableAccessError(
                f"table {self._table.name!r} outside an agent has no record at hand: use .now() or .at(timestamp)."
            )
        return agent.moment()

    def __iadd__(self, other: Any) -> WindowSet[K, V]:
        return self.apply(operator.add, other)

    def __isub__(self, other: Any) -> WindowSet[K, V]:
        return self.apply(operator.sub, other)

    def __imul__(self, other: Any) -> WindowSet[K, V]:
        return self.apply(operator.mul, other)

    def __itruediv__(self, other: Any) -> WindowSet[K, V]:
        return self.apply(operator.truediv, other)

    def __ifloordiv__(self, other: Any) -> WindowSet[K, V]:
        return self.apply(operator.floordiv, other)

    def __imod__(self, other: Any) -> WindowSet[K, V]:
        return self.apply(operator.mod, other)

    def __ipow__(self, other: Any) -> WindowSet[K, V]:
        return self.apply(operator.pow, other)

    def __ilshift__(self, other: Any) -> WindowSet[K, V]:
        return self.apply(operator.lshift, other)

    def __irshift__(self, other: Any) -> WindowSet[K, V]:
        return self.apply(operator.rshift, other)

    def __iand__(self, other: Any) -> WindowSet[K, V]:
        return self.apply(operator.and_, other)

    def __ior__(self, other: Any) -> WindowSet[K, V]:
        return self.apply(operator.or_, other)

    def __ixor__(self, other: Any) -> WindowSet[K, V]:
        return self.apply(operator.xor, other)
