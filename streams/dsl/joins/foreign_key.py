"""table.join(table, foreign_key=), table.left_join(table, foreign_key=)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.dsl.joins.joining import Joining
from streams.dsl.joins.table_table import check_keys, derived_name, joiner_of
from streams.dsl.naming import type_of
from streams.dsl.reading import Function, read_function
from streams.errors import TopologyError
from streams.expressions import Expression
from streams.graph.definitions import StoreDef, TopicDef, check_name
from streams.graph.functions import UserFunction, caller
from streams.graph.lookups import looking_into
from streams.graph.nodes import (
    ForeignKeyJoinNode,
    NotifyNode,
    RoutedNode,
    SubscribeNode,
    SubscriptionNode,
)
from streams.graph.old_values import request_old
from streams.serde.types import without_none
from streams.windows import Windowed

if TYPE_CHECKING:
    from streams.dsl.table import Table


def join_by_foreign_key(left: Table, right: Table, joining: Joining, foreign_key: Function, store: str | None) -> Table:
    """A row for each key of the left table, with the row of the right table that its value refers to.

    Two topics of the app lie between the tables' tasks, so they need not have equal partition counts.
    """
    where = caller()
    if joining.step == "outer_join":
        raise TopologyError(
            f"outer_join at {where}: rows of {right.name!r} that nobody refers to would have no key in the result, so "
            "there is no outer join by foreign key; say left_join"
        )
    refer = read_function(foreign_key, "foreign_key", left.value_type)
    check_keys(without_none(type_of(refer)), right, joining, where, "foreign keys")
    asked = joining.asked(left.value_type, right.value_type)
    name = check_name(joining.name or derived_name(left, right, joining, asked), joining.step)
    parts = _Parts(left, right, joining, name, where)
    # Old values tell which subscriptions end; of the right table Kafka Streams asks for them too.
    request_old(left.node)
    request_old(right.node)
    joiner = joiner_of(joining, asked)
    kept = left._kept(store or name, joiner.value_type)
    assert kept is not None
    parts.ask(refer)
    parts.answer()
    node = ForeignKeyJoinNode(
        **parts.common("", (left._builder.graph.source(parts.answers, where),)),
        store=kept,
        left=left.node,
        left_value_type=left.value_type,
        right_value_type=right.value_type,
        looked=looking_into(left.node),
        joiner=joiner,
    )
    return left._behind(node, kept, value_type=kept.value_type)


class _Parts:
    """The steps and topics of one join, by name."""

    def __init__(self, left: Table, right: Table, joining: Joining, name: str, where: str) -> None:
        self._left = left
        self._right = right
        self._joining = joining
        self._name = name
        self._where = where
        self._graph = left._builder.graph
        self.subscriptions = self._topic("subscription", bytes)
        self.answers = self._topic("answer", _key_type(left))

    def common(self, part: str, parents: tuple[Any, ...]) -> dict[str, Any]:
        name = f"{self._name}-{part}" if part else self._name
        return {"name": name, "parents": parents, "where": self._where, "on_error": self._joining.on_error}

    def _topic(self, part: str, key_type: Any) -> TopicDef:
        """A topic of the app between the tasks of the two tables."""
        made = TopicDef(
            name=check_name(f"{self._left._builder.app_id}-{self._name}-{part}-repartition", "repartition"),
            key_type=key_type,
            value_type=bytes,
            internal=True,
            routed=True,
            where=self._where,
        )
        return self._graph.add_topic(made)

    def ask(self, refer: UserFunction | Expression) -> None:
        """The left side: subscriptions go out."""
        node = SubscribeNode(
            **self.common("subscribe", (self._left.node,)),
            foreign_key=refer,
            key_type=_key_type(self._left),
            value_type=self._left.value_type,
            right_key_type=_key_type(self._right),
            topic=self.subscriptions,
            left=self._joining.step == "left_join",
        )
        self._graph.add_node(node)
        self._graph.add_node(RoutedNode(**self.common("subscription-repartition", (node,)), topic=self.subscriptions))

    def answer(self) -> None:
        """The right side: subscriptions are kept, and answered; so is each change of the table."""
        subscriptions = self._graph.add_store(
            StoreDef(
                name=f"{self._name}-subscriptions",
                changelog=self._left._builder.changelog(f"{self._name}-subscriptions"),
                key_type=bytes,
                value_type=bytes,
                where=self._where,
            )
        )
        key_type, value_type = _key_type(self._right), self._right.value_type
        asked = SubscriptionNode(
            **self.common("subscription", (self._graph.source(self.subscriptions, self._where),)),
            right=self._right.node,
            right_key_type=key_type,
            right_value_type=value_type,
            looked=looking_into(self._right.node),
            subscriptions=subscriptions,
        )
        self._graph.add_node(asked)
        changed = NotifyNode(
            **self.common("notify", (self._right.node,)),
            subscriptions=subscriptions,
            key_type=key_type,
            value_type=value_type,
        )
        self._graph.add_node(changed)
        self._graph.add_node(RoutedNode(**self.common("answer-repartition", (asked, changed)), topic=self.answers))


def _key_type(table: Table) -> Any:
    """The type of keys as they stand in a topic."""
    if not table.like.windowed:
        return table.like.key_type
    return Windowed if table.like.key_type is None else Windowed[table.like.key_type]  # type: ignore[name-defined]
