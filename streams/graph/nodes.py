"""The steps of a topology as plain data: what to do, from whom, and the user's line that said so.

A node holds no run state and does no work; `streams.operators` has one operator for each class here,
`streams.graph.plan` arranges them. Nodes compare by identity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from streams.graph.definitions import StoreDef, TopicDef
from streams.graph.functions import UserFunction

if TYPE_CHECKING:
    from streams.aggregates import Aggregate
    from streams.expressions import Expression
    from streams.policies import Policy
    from streams.windows import Window

Emit = Literal["update", "commit", "close"]


@dataclass(eq=False, slots=True, kw_only=True)
class Node:
    """A step. `name` is unique in the app; `where` is the user's line."""

    name: str
    parents: tuple[Node, ...] = ()
    where: str = ""
    on_error: Policy | None = None

    @property
    def kind(self) -> str:
        """The step's word in drawings and messages: the class name without `Node`, in snake case."""
        words = type(self).__name__.removesuffix("Node")
        return "".join("_" + c.lower() if c.isupper() else c for c in words).lstrip("_")

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        """The stores that the step reads or writes."""
        return ()

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        """The stores that the step writes."""
        return ()


@dataclass(eq=False, slots=True, kw_only=True)
class SourceNode(Node):
    """Reads one topic: bytes become a batch."""

    topic: TopicDef


@dataclass(eq=False, slots=True, kw_only=True)
class TableSourceNode(Node):
    """Keeps the latest value of each key of its parent in `store`: a table's entrance."""

    store: StoreDef

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return (self.store,)

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return (self.store,)


@dataclass(eq=False, slots=True, kw_only=True)
class FilterNode(Node):
    """Lets through the records for which the predicate holds (or, negated, does not)."""

    predicate: UserFunction | Expression
    negate: bool = False


@dataclass(eq=False, slots=True, kw_only=True)
class MapValuesNode(Node):
    """A new value for each record; the key stays."""

    function: UserFunction | Expression
    value_type: Any = None


@dataclass(eq=False, slots=True, kw_only=True)
class MapNode(Node):
    """A new (key, value) for each record."""

    function: UserFunction
    value_type: Any = None


@dataclass(eq=False, slots=True, kw_only=True)
class FlatMapNode(Node):
    """Any number of (key, value) pairs for each record."""

    function: UserFunction
    value_type: Any = None


@dataclass(eq=False, slots=True, kw_only=True)
class FlatMapValuesNode(Node):
    """Any number of values for each record; the key stays."""

    function: UserFunction
    value_type: Any = None


@dataclass(eq=False, slots=True, kw_only=True)
class SelectKeyNode(Node):
    """A new key for each record; the value stays."""

    function: UserFunction | Expression


@dataclass(eq=False, slots=True, kw_only=True)
class PeekNode(Node):
    """Calls the function with each record and hands the record on."""

    function: UserFunction


@dataclass(eq=False, slots=True, kw_only=True)
class ForEachNode(Node):
    """Calls the function with each record; nothing goes on."""

    function: UserFunction


@dataclass(eq=False, slots=True, kw_only=True)
class MergeNode(Node):
    """The records of several streams as one."""


@dataclass(eq=False, slots=True, kw_only=True)
class SinkNode(Node):
    """Writes records to a topic, or to the topic whose name `choose` gives for each."""

    topic: TopicDef | None = None
    choose: UserFunction | None = None
    topics: dict[str, TopicDef] | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class RepartitionNode(Node):
    """Writes records to an internal topic by their key; a `SourceNode` on that topic reads them in the tasks behind
    it.
    """

    topic: TopicDef


@dataclass(eq=False, slots=True, kw_only=True)
class AggregateNode(Node):
    """Folds the records of a key, or of a key and window, into a value kept in `store`."""

    store: StoreDef
    fold: Fold
    window: Window | None = None
    emit: Emit = "commit"

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return (self.store,)

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return (self.store,)


@dataclass(eq=False, slots=True, kw_only=True)
class TableJoinNode(Node):
    """Each record of the stream together with the table's value for its key, as the table stands then."""

    table: StoreDef
    joiner: UserFunction
    left: bool
    value_type: Any = None

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return (self.table,)


@dataclass(eq=False, slots=True, kw_only=True)
class AgentNode(Node):
    """A coroutine of the user's over the records of its parent; `tables` are the stores it may read, `written` those
    that it may write as well.

    What it yields goes to the children. `agent` is the `streams.agent.Agent`, opaque to the graph.
    """

    agent: Any
    function: Callable[..., Any]
    tables: tuple[StoreDef, ...] = ()
    written: tuple[StoreDef, ...] = ()
    concurrency: int = 1

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return self.tables

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return self.written


@dataclass(frozen=True, slots=True)
class NamedAggregates:
    """`aggregate(flights=agg.count(), ...)`: a row of named results; `scalar` when it is a single unnamed one
    (`count()`).
    """

    parts: tuple[tuple[str, Aggregate], ...]
    scalar: bool = False


@dataclass(frozen=True, slots=True)
class ReduceFold:
    """`reduce(f)`: the first value stands for itself, then `f(old, new)`."""

    function: UserFunction


@dataclass(frozen=True, slots=True)
class FunctionFold:
    """`aggregate(initial, f)`: `initial()` (or a value), then `f(aggregate, value)` or `f(key, aggregate, value)`."""

    initial: Callable[[], Any]
    function: UserFunction


Fold = NamedAggregates | ReduceFold | FunctionFold
