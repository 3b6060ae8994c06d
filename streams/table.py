"""`app.Table`: what agents remember. A mapping in the agent's own task, kept in a store and its changelog."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from streams.durations import Duration, to_ms
from streams.errors import ConfigError, StreamsError
from streams.graph.definitions import StoreDef, check_name
from streams.graph.functions import caller
from streams.graph.nodes import AggregateNode
from streams.windows import HoppingWindow, TumblingWindow, Window

if TYPE_CHECKING:
    from streams.app import App, AtWork
    from streams.operators.table_view import TableView, Undo
    from streams.operators.versioned_view import VersionedView
    from streams.windowed_table import WindowedTable

K = TypeVar("K")
V = TypeVar("V")

ABSENT: Any = object()
"""Stands for a value that is not there."""


class TableAccessError(StreamsError):
    """A table was used where it can't be: outside an agent, or in an agent that is not known to use it."""


class Running(Protocol):
    """What a table needs of the agent at work: its task's views, and the record at hand."""

    views: dict[str, TableView]
    undo: Undo

    @property
    def task(self) -> str:
        """The id of the task that it runs in."""

    def moment(self) -> int:
        """The timestamp (ms) of the record at hand."""

    def stream_time(self) -> int:
        """The agent's stream time (ms) at the record at hand."""

    def now_ms(self) -> int:
        """The clock on the wall (ms), which is virtual in tests."""

    def late(self, table: str) -> None:
        """Counts a change to a window that has expired."""

    def send(self, row: Row) -> None:
        """Sends a record with what the agent does for the one at hand."""


Row = tuple[str, bytes | None, bytes | None, int, Sequence[tuple[str, bytes | None]]]
"""A record to be sent: topic, key, value, timestamp (ms), headers."""

_MOST: Final = 0x7FFF_FFFF_FFFF_FFFF

running: ContextVar[Running] = ContextVar("running agent")
"""The agent whose function is being run, in the context of that function."""


class AtHand:
    """What somebody has at hand of a table. `values[key]` finds what is not held. What is held may be set there to a
    number of the class `kind`: then `log` takes the key, what it replaces, and how many rows `cursor` has left. All
    else goes through `write`.
    """

    __slots__ = ("cursor", "kind", "log", "values")

    def __init__(self, values: Any) -> None:
        self.values = values
        self.kind: type | None = None
        self.log: list[Any] = []
        self.cursor: Any = iter(())

    def write(self, key: Any, value: Any) -> None:
        """Sets a value, whatever it is."""
        raise NotImplementedError


class _NothingAtHand(AtHand):
    """Of those who hold nothing: each look-up asks who is at work."""

    __slots__ = ("_table",)

    def __init__(self, table: Table[Any, Any]) -> None:
        super().__init__(_NotHeld(table))
        self._table = table

    def write(self, key: Any, value: Any) -> None:
        self._table.write_in_task(key, value)


class _NotHeld:
    """Keys need not be hashable."""

    __slots__ = ("_table",)

    def __init__(self, table: Table[Any, Any]) -> None:
        self._table = table

    def __getitem__(self, key: Any) -> Any:
        value = self._table.read_in_task(key)
        return self._table.default_of(key) if value is ABSENT else value

    def __contains__(self, key: object) -> bool:
        return False

    def get(self, key: Any, absent: Any) -> Any:
        return absent


class Table(MutableMapping[K, V]):
    """A table of an app: `table[key] += 1` in an agent.

    `table[key]` of a key that is not there is `default()`, without making it; without a default it raises KeyError.
    Values are values: each look-up of one that could be changed in place (list, dict, Record) gives a copy of its own,
    so a change counts when it is assigned: `rows = table[key]; rows.append(row); table[key] = rows`. None deletes.

    >>> from streams.app import App
    >>> late = App("flights").Table("late", key_type=str, value_type=int, default=int)
    >>> late["AA"] += 1
    Traceback (most recent call last):
    streams.table.TableAccessError: table 'late' is read outside an agent, and no worker runs 'flights' in this \
process. Outside a worker use `async with app.client() as client: client.table(...)`.

    Made by `app.Table(...)`; inside an agent it holds the keys of the agent's partition. In reports and timers of a
    worker it can be read, over all partitions that the worker has, as of the last commit.
    """

    def __init__(
        self,
        app: App,
        name: str,
        *,
        default: Callable[[], V] | None = None,
        key_type: Any = None,
        value_type: Any = None,
        partitions: int | None = None,
        ttl: Duration | None = None,
    ) -> None:
        if default is not None and not callable(default):
            raise ConfigError(
                f"Table({name!r}, default={default!r}): give a function, such as int or lambda: {default!r}"
            )
        self._app = app
        self.name = name
        self.default = default
        self.partitions = partitions
        self.written_by_agents = True
        self.at_hand = self._nothing_at_hand()
        self.definition = app.builder.graph.add_store(
            StoreDef(
                name=check_name(name, "table"),
                changelog=app.builder.changelog(name),
                key_type=key_type,
                value_type=value_type,
                ttl_ms=None if ttl is None else to_ms(ttl, "ttl"),
                where=caller(),
            )
        )

    @classmethod
    def of_store(cls, app: App, store: StoreDef) -> Table[Any, Any]:
        """The table that a pipeline keeps in `store`, for reading."""
        from streams.windowed_table import WindowedTable

        nodes = (node for node in app.builder.graph.nodes if isinstance(node, AggregateNode) and node.store is store)
        window = next((node.window for node in nodes), None)
        made: Table[Any, Any] = cls.__new__(cls) if window is None else WindowedTable.__new__(WindowedTable)
        made._app, made.name, made.definition, made.default, made.partitions = app, store.name, store, None, None
        made.written_by_agents = False
        made.at_hand = made._nothing_at_hand()
        if isinstance(made, WindowedTable):
            made.window = cast(Window, window)
        return made

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def tumbling(self, size: Duration, expires: Duration | None = None) -> WindowedTable[K, V]:
        """The table by windows side by side of that size; a window goes when stream time is `expires` past its start.

        Without `expires` windows are kept for ever.
        """
        from streams.windowed_table import WindowedTable

        return WindowedTable.over(self, TumblingWindow(size), expires)

    def hopping(self, size: Duration, step: Duration, expires: Duration | None = None) -> WindowedTable[K, V]:
        """The table by overlapping windows, one every `step`; else as `tumbling`."""
        from streams.windowed_table import WindowedTable

        return WindowedTable.over(self, HoppingWindow(size, step), expires)

    # -- mapping

    def __getitem__(self, key: K) -> V:
        return self.at_hand.get().values[key]  # type: ignore[no-any-return]

    def __setitem__(self, key: K, value: V) -> None:
        at_hand = self.at_hand.get()
        values = at_hand.values
        kind = type(value)
        if kind is at_hand.kind and key in values and (kind is float or -_MOST <= value <= _MOST):  # type: ignore[operator]
            # Three appends of this form are faster than one of a tuple, and are no work for the garbage collector.
            log = at_hand.log
            log.append(key)
            log.append(values[key])
            log.append(at_hand.cursor.__length_hint__())
            values[key] = value
        else:
            at_hand.write(key, value)

    def __delitem__(self, key: K) -> None:
        if self._read(key) is ABSENT:
            raise KeyError(key)
        self[key] = cast(V, None)

    def __contains__(self, key: object) -> bool:
        return self._read(key) is not ABSENT

    def get(self, key: K, default: Any = None, *, as_of: int | None = None) -> Any:
        """The value of a key, or `default`; the table's own default is not asked. `as_of` (ms), for a versioned table:
        the value that the key had then. Raises TableAccessError for a table that does not know.
        """
        value = self._read(key) if as_of is None else self._read_at(key, as_of)
        return default if value is ABSENT else value

    def setdefault(self, key: K, default: Any = None) -> Any:
        """The value of a key; if it is not there, `default` (or the table's own) is put there first."""
        value = self.get(key, ABSENT)
        if value is ABSENT:
            value = self.default() if default is None and self.default is not None else default
            self[key] = value
        return value

    def pop(self, key: K, default: Any = ABSENT) -> Any:
        """Removes a key and gives its value; `default`, or KeyError, if it is not there."""
        value = self.get(key, ABSENT)
        if value is not ABSENT:
            del self[key]
            return value
        if default is ABSENT:
            raise KeyError(key)
        return default

    def __iter__(self) -> Iterator[K]:
        return (key for key, _ in self._rows())

    def __len__(self) -> int:
        return sum(1 for _ in self._rows())

    def clear(self) -> None:
        """Deletes every key of the agent's partition."""
        for key in list(self):
            del self[key]

    def items(self) -> Any:
        """(key, value) pairs in the order of key bytes, as they are now."""
        return self._rows()

    def values(self) -> Any:
        """The values, in the order of key bytes."""
        return (value for _, value in self._rows())

    def keys(self) -> Any:
        """The keys, in the order of their bytes."""
        return iter(self)

    def range(self, start: K | None = None, stop: K | None = None) -> Iterator[tuple[K, V]]:
        """(key, value) with start <= key < stop in the order of key bytes."""
        for view in self._views():
            yield from view.range(start, stop)

    # -- where it is

    def _nothing_at_hand(self) -> ContextVar[AtHand]:
        return ContextVar(f"table {self.name}", default=_NothingAtHand(self))  # noqa: B039 - nobody changes it

    def _read(self, key: Any) -> Any:
        held = self.at_hand.get().values.get(key, ABSENT)
        return self.read_in_task(key) if held is ABSENT else held

    def read_in_task(self, key: Any) -> Any:
        """The value of a key in the task of the agent at work, outside an agent in any of this worker; or ABSENT."""
        agent = running.get(None)
        if agent is None:
            return self._read_outside(key)
        view = self._view(agent)
        return view.read(view.entry(key), ABSENT)

    def write_in_task(self, key: Any, value: Any) -> None:
        """Sets the value of a key in the task of the agent at work."""
        agent = self._writer()
        view = self._view(agent)
        view.write(view.entry(key), value, agent.moment(), agent.undo)

    def default_of(self, key: Any) -> Any:
        """What `table[key]` is of a key that is not there; raises KeyError without a default."""
        if self.default is None:
            raise KeyError(key)
        return self.default()

    def _read_at(self, key: Any, time: int) -> Any:
        if not self.definition.versioned:
            raise TableAccessError(
                f"table {self.name!r} is read as of a time, and keeps only the latest values "
                f"({self.definition.where}); "
                'a table that knows earlier ones is made with topic.table(history="1h")'
            )
        found = (cast("VersionedView", view).get_at(key, time, ABSENT) for view in self._views())
        return next((value for value in found if value is not ABSENT), ABSENT)

    def _view(self, agent: Running) -> TableView:
        view = agent.views.get(self.name)
        if view is None:
            raise self._unknown()
        return view

    def _unknown(self) -> TableAccessError:
        return TableAccessError(
            f"the agent uses table {self.name!r}, and the plan does not know. Tables are found by name in the agent's "
            "function and the functions it calls in the same module; name others in @app.agent(..., tables=[...])."
        )

    def _writer(self) -> Running:
        agent = running.get(None)
        if agent is None or not self.written_by_agents:
            raise self._not_writable()
        return agent

    def _not_writable(self) -> TableAccessError:
        if self.written_by_agents:
            return TableAccessError(
                f"table {self.name!r} is written outside an agent, and only agents write tables: send a record to an "
                "agent's topic, and write there."
            )
        return TableAccessError(
            f"table {self.name!r} is kept by a pipeline ({self.definition.where}): agents can only read it."
        )

    def _views(self) -> list[TableView]:
        """The view of the agent's task; outside an agent those of all tasks of this worker."""
        agent = running.get(None)
        if agent is not None:
            return [self._view(agent)]
        contexts = self.worker().contexts()
        return [context.view(self.definition) for context in contexts if self.name in context.stores.specs]

    def worker(self) -> AtWork:
        """The worker that runs the app here. Raises TableAccessError when there is none."""
        if self._app.worker is None:
            raise TableAccessError(
                f"table {self.name!r} is read outside an agent, and no worker runs {self._app.id!r} in this process. "
                "Outside a worker use `async with app.client() as client: client.table(...)`."
            )
        return self._app.worker

    def _read_outside(self, key: Any) -> Any:
        for view in self._views():
            value = view.get(key, ABSENT)
            if value is not ABSENT:
                return value
        return ABSENT

    def _rows(self) -> Iterator[tuple[K, V]]:
        for view in self._views():
            yield from view.items()
