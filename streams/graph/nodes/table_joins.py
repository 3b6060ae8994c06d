"""Tables joined with tables: by their keys, and by a foreign key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streams.graph.definitions import StoreDef, TopicDef
from streams.graph.functions import UserFunction
from streams.graph.nodes.base import Node, TableNode
from streams.graph.nodes.outputs import RepartitionNode

if TYPE_CHECKING:
    from streams.expressions import Expression


@dataclass(frozen=True, slots=True)
class TableJoiner:
    """What makes a row of two tables' values: the user's function, and which values there must be."""

    function: UserFunction
    needs_left: bool
    needs_right: bool
    value_type: Any = None

    def has_row(self, left: Any, right: Any) -> bool:
        """Whether the joined table may have a row for these values.

        >>> left_join = TableJoiner(UserFunction(max, step="left_join", takes=3), True, False)
        >>> left_join.has_row(1, None), left_join.has_row(None, 1)
        (True, False)
        """
        if left is None:
            return right is not None and not self.needs_left
        return right is not None or not self.needs_right


@dataclass(eq=False, slots=True, kw_only=True)
class TableTableJoinNode(Node):
    """One side of a join of two tables: each change of the parent together with what `other` has for its key.

    `is_left` says which side the parent is. `apart`: no record changes both tables, so that what a change replaces
    tells whether the join had a row.
    """

    other: TableNode
    looked: tuple[StoreDef, ...]
    joiner: TableJoiner
    is_left: bool
    apart: bool

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return self.looked


@dataclass(eq=False, slots=True, kw_only=True)
class TableMergeNode(TableNode):
    """Both sides of a join of two tables as one table. `store` is where it is kept if the user asked for that, `apart`
    as its sides have it.
    """

    left: TableNode
    right: TableNode
    joiner: TableJoiner
    apart: bool

    @property
    def keeps_old(self) -> bool:
        return False


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


@dataclass(eq=False, slots=True, kw_only=True)
class SubscribeNode(Node):
    """The left side of a join by foreign key: each change of the parent becomes a subscription to the row of the other
    table that the change refers to, and the end of the one before. `left` is set for a left join.
    """

    foreign_key: UserFunction | Expression
    key_type: Any
    value_type: Any
    right_key_type: Any
    topic: TopicDef
    left: bool


@dataclass(eq=False, slots=True, kw_only=True)
class RoutedNode(RepartitionNode):
    """Writes what the two sides of a join by foreign key tell each other. Records say to which partition they go."""


@dataclass(eq=False, slots=True, kw_only=True)
class SubscriptionNode(Node):
    """The right side: keeps the subscriptions that come in, and answers each with what `right` has."""

    right: TableNode
    right_key_type: Any
    right_value_type: Any
    looked: tuple[StoreDef, ...]
    subscriptions: StoreDef

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return (self.subscriptions, *self.looked)

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return (self.subscriptions,)


@dataclass(eq=False, slots=True, kw_only=True)
class NotifyNode(Node):
    """The right side: each change of the parent goes to all that subscribed to its key."""

    subscriptions: StoreDef
    key_type: Any
    value_type: Any

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return (self.subscriptions,)


@dataclass(eq=False, slots=True, kw_only=True)
class ForeignKeyJoinNode(TableNode):
    """The left side again: answers that come in become rows of the joined table, kept in `store`."""

    store: StoreDef
    left: TableNode
    left_value_type: Any
    right_value_type: Any
    looked: tuple[StoreDef, ...]
    joiner: TableJoiner

    @property
    def stores(self) -> tuple[StoreDef, ...]:
        return (self.store, *self.looked)

    @property
    def writes(self) -> tuple[StoreDef, ...]:
        return (self.store,)
