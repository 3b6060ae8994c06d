"""Numbers of a table in front of its view, by key and not by bytes: what `table[key] += 1` of an agent costs.

Setting a number that is held here is four steps in `Table.__setitem__`: it goes into `values`, and into `log` go key,
what it replaces, and how many rows the agent's cursor has left. What that means is worked out for many at once: when
the agent turns to other rows, the log says which keys have changed, and at which record last; when somebody looks at
the view, and at the latest before a commit, the changes are entered there. What the record at hand has changed can be
taken back until then from the log, and after that from the run's `undo`, like any other change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from streams.table import ABSENT, AtHand, Running, Table

if TYPE_CHECKING:
    from streams.operators.base import TaskContext
    from streams.operators.table_view import TableView

HELD_MOST: Final = 32_768
"""So many keys are held at most, about 5 MB; then all are let go."""

_KEPT_AS_THEY_ARE: Final = frozenset({int, float, str})


class _Values(dict[Any, Any]):
    """What is held. A key that is not there is looked up in the view."""

    __slots__ = ("_front",)

    def __init__(self, front: TableFront) -> None:
        self._front = front

    def __missing__(self, key: Any) -> Any:
        return self._front.look_up(key)


class TableFront(AtHand):
    """Of `table` in the hands of one run of an agent. Only keys that are exactly `str` are held: nothing else equals
    them that would be stored under other bytes.
    """

    __slots__ = ("_kind", "_times", "_touched", "run", "table", "view")

    def __init__(self, table: Table[Any, Any], view: TableView, run: Running) -> None:
        super().__init__(_Values(self))
        self.table = table
        self.view = view
        self.run = run
        self._kind: type | None = None
        self._times: list[int] = []
        self._touched: dict[str, int] = {}
        """The timestamps of the keys that have changed and are not entered in the view."""

    # -- for the table

    def look_up(self, key: Any) -> Any:
        """What `table[key]` is of a key that is not held."""
        exact = type(key) is str
        value = (self.view.read_behind if exact else self.view.read)(self.view.entry(key), ABSENT)
        if value is ABSENT:
            return self.table.default_of(key)
        if exact and type(value) in _KEPT_AS_THEY_ARE:
            self._hold(key, value)
        return value

    def write(self, key: Any, value: Any) -> None:
        entry = self.view.entry(key)
        if type(key) is not str:
            self.forget()
        elif key in self.values:
            self.settle()
            del self.values[key]
        self.view.write_behind(entry, value, self.run.moment(), self.run.undo)
        if type(key) is str and self.view.holds_as_it_is(value):
            self._hold(key, value)

    def _hold(self, key: str, value: Any) -> None:
        self.values[key] = value
        if self.view.holds_as_it_is(value):
            self._kind = type(value)
            self._allow()

    def _allow(self) -> None:
        """Numbers are set here while there is a record whose time they have."""
        self.kind = self._kind if self._times else None

    # -- for the run

    def turn(self, times: list[int], cursor: Iterator[Any]) -> None:
        """The agent has other rows; `times` has the timestamp of each, by how many `cursor` has left to go then."""
        self._fold()
        self._times, self.cursor = times, cursor
        self._allow()
        if len(self.values) > HELD_MOST:
            self.forget()

    def take_back(self) -> None:
        """Undoes what was set here at the record at hand."""
        self._take_out()

    # -- for the view

    def settle(self) -> None:
        """Enters what has changed in the view."""
        if not (self.log or self._touched):
            return
        news = self._take_out()
        self._fold()
        if self._touched:
            self.view.enter(self._touched, self.values)
            self._touched.clear()
        if news:
            time = self.run.moment()
            for key, value in news.items():
                self.view.write_behind(self.view.entry(key), value, time, self.run.undo)
                self.values[key] = value

    def forget(self) -> None:
        """Somebody changes the view: nothing is known here any more."""
        self.settle()
        self.values.clear()

    # -- within

    def _take_out(self) -> dict[str, Any]:
        """Puts back what the record at hand has replaced, and gives what it had set."""
        log, values = self.log, self.values
        news: dict[str, Any] = {}
        left = self.cursor.__length_hint__()
        while log and log[-1] == left:
            _, old, key = log.pop(), log.pop(), log.pop()
            news.setdefault(key, values[key])
            values[key] = old
        return news

    def _fold(self) -> None:
        """What the log says is noted by key."""
        log = self.log
        if log:
            self._touched.update(zip(log[::3], map(self._times.__getitem__, log[2::3]), strict=True))
            log.clear()


def fronts_for(tables: list[Table[Any, Any]], run: Running, context: TaskContext) -> list[TableFront]:
    """Of the tables by text that the agent alone changes, and whose values live until it deletes them."""
    if context.by_row:  # they would be settled at each
        return []
    own = [table for table in tables if type(table) is Table and table.name in run.views and _is_own(table, context)]
    return [TableFront(table, run.views[table.name], run) for table in own]


def _is_own(table: Table[Any, Any], context: TaskContext) -> bool:
    shared = table.name in context.shared_stores or not table.written_by_agents
    return table.definition.key_type is str and table.definition.ttl_ms is None and not shared
