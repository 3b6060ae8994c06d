"""Tables made of tables, and streams of their changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from streams.graph.definitions import StoreDef, kept_by_tasks
from streams.graph.functions import UserFunction
from streams.graph.nodes.aggregations import Emit
from streams.graph.nodes.base import Node, TableNode

if TYPE_CHECKING:
    from streams.expressions import Expression


@dataclass(eq=False, slots=True, kw_only=True)
class TableFilterNode(TableNode):
    """The rows of a table for which the predicate holds (or, negated, does not)."""

    predicate: UserFunction | Expression
    negate: bool = False


@dataclass(eq=False, slots=True, kw_only=True)
class TableMapValuesNode(TableNode):
    """A table with another value for each row."""

    function: UserFunction | Expression
    value_type: Any = None


@dataclass(eq=False, slots=True, kw_only=True)
class TableTransformValuesNode(TableNode):
    """A table with another value for each row, by a transformer: `make` gives one, or is a function of (key, value).

    `used` are the stores it may read, `written` those that it may write as well.
    """

    make: Callable[[], Any] | UserFunction
    used: tuple[StoreDef, ...] = ()
    written: tuple[StoreDef, ...] = ()
    value_type: Any = None

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return kept_by_tasks(self.used if self.store is None else (self.store, *self.used))

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return self.written if self.store is None else (self.store, *self.written)


@dataclass(eq=False, slots=True, kw_only=True)
class TableGroupNode(Node):
    """The rows of a table under other keys: old and new value of each change, as a `Change`."""

    function: UserFunction


@dataclass(eq=False, slots=True, kw_only=True)
class TableAggregateNode(TableNode):
    """Folds the rows of a group into a value kept in `store`: what a row was is taken out, what it is put in."""

    store: StoreDef
    fold: TableFold
    emit: Emit | None = None


@dataclass(frozen=True, slots=True)
class TableFold:
    """`initial` None: the first value of a group stands for itself (`reduce`)."""

    initial: Callable[[], Any] | None
    add: UserFunction
    subtract: UserFunction


WhenFull = Literal["emit", "stop"]


@dataclass(eq=False, slots=True, kw_only=True)
class SuppressNode(TableNode):
    """Holds a table's changes back, the latest of each key in `buffer`: for `wait_ms` of stream time from the first
    change on, or (`until_close`) until `wait_ms` after the end of the key's window. `key_type` is that of keys without
    their windows.
    """

    buffer: StoreDef
    key_type: Any
    windowed: bool
    value_type: Any
    wait_ms: int
    until_close: bool = False
    records_max: int | None = None
    bytes_max: int | None = None
    when_full: WhenFull = "emit"

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return (self.buffer,)

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return (self.buffer,)


@dataclass(eq=False, slots=True, kw_only=True)
class ToStreamNode(Node):
    """The changes of a table that has a join in it, for those that are no tables: without such as change nothing.
    `told` keeps which rows were handed on, where the changes do not say.
    """

    told: StoreDef | None = None

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return () if self.told is None else (self.told,)

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return self.stores
