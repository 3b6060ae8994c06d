"""A join of tables by foreign key, step by step: subscribe, the other side's subscription and notify, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streams.graph.definitions import StoreDef, TopicDef
from streams.graph.functions import UserFunction
from streams.graph.nodes.base import Node, TableNode
from streams.graph.nodes.joins import TableJoiner
from streams.graph.nodes.sinks import RepartitionNode

if TYPE_CHECKING:
    from streams.expressions import Expression


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
