"""The rows of a table by another key: what can be counted, reduced and aggregated, and taken back again."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from streams.dsl.hints import Hinting
from streams.dsl.naming import pair_types, step_fields, suffix
from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, TopicDef, check_name
from streams.graph.functions import UserFunction, caller
from streams.graph.nodes import Node, RepartitionNode, TableAggregateNode, TableFold, TableGroupNode
from streams.graph.old_values import request_old
from streams.policies import Policy
from streams.serde import serde_for
from streams.serde.changes import ChangeSerde

if TYPE_CHECKING:
    from streams.dsl.builder import Builder
    from streams.dsl.table import Table


class GroupedTable(Hinting):
    """Rows by key. When a row changes, what it was is taken out of its group, and what it is put in: the aggregate of a
    group is at any time that of the rows in it.
    """

    _instead = ".count().to_stream()"

    def __init__(self, builder: Builder, node: Node, *, label: str, key_type: Any, value_type: Any) -> None:
        self._builder = builder
        self._node = node
        self._label = label
        self._key_type = key_type
        self._value_type = value_type

    def count(self, *, name: str | None = None) -> Table:
        """How many rows each group has."""
        add = UserFunction(lambda count, row: count + 1, step="count", takes=3)
        subtract = UserFunction(lambda count, row: count - 1, step="count", takes=3)
        return self._aggregated("count", TableFold(lambda: 0, add, subtract), None, int, name, None)

    def reduce(
        self,
        add: Callable[..., Any],
        subtract: Callable[..., Any],
        *,
        value_type: Any = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Table:
        """The values of a group as one: `add(aggregate, new)` puts a value in, `subtract(aggregate, old)` takes it out;
        the first stands for itself.
        """
        fold = TableFold(None, _fold(add, "reduce"), _fold(subtract, "reduce"))
        return self._aggregated("reduce", fold, fold.add, value_type or self._value_type, name, on_error)

    def aggregate(
        self,
        initial: Any,
        add: Callable[..., Any],
        subtract: Callable[..., Any],
        *,
        value_type: Any = None,
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> Table:
        """`initial` is a value or a function without arguments; `add` and `subtract` take (aggregate, value) or (key,
        aggregate, value). A group whose aggregate is None is deleted.
        """
        read = _fold(add, "aggregate")
        fold = TableFold(
            initial if callable(initial) else lambda: deepcopy(initial), read, _fold(subtract, "aggregate")
        )
        return self._aggregated("aggregate", fold, read, value_type or read.returns, name, on_error)

    def _aggregated(
        self,
        step: str,
        fold: TableFold,
        function: UserFunction | None,
        value_type: Any,
        name: str | None,
        on_error: Policy | None,
    ) -> Table:
        from streams.dsl.table import Table

        where = caller()
        named = check_name(name or f"{self._label}-{step}{suffix(function)}", step)
        store = self._builder.graph.add_store(
            StoreDef(
                name=named,
                changelog=self._builder.changelog(named),
                key_type=self._key_type,
                value_type=value_type,
                where=where,
            )
        )
        node = TableAggregateNode(
            name=named, parents=(self._node,), where=where, on_error=on_error, store=store, fold=fold
        )
        self._builder.graph.add_node(node)
        return Table(self._builder, node, store)


def group(
    table: Table,
    function: Callable[..., Any],
    name: str | None,
    key_type: Any,
    value_type: Any,
    on_error: Policy | None,
) -> GroupedTable:
    """The body of `Table.group_by`: each change goes through a repartition topic, with what it takes back."""
    if not callable(function):
        raise TopologyError(
            f"group_by at {caller()}: a table is grouped by a function that gives (group, value) or None for each row, "
            f"not by {function!r}"
        )
    builder, read = table._builder, UserFunction(function, step="group_by", takes=2)
    said = pair_types(read.returns)
    key_type, value_type = key_type or said[0], value_type or said[1]
    label = name or f"{table.label}-by{suffix(read)}"
    common = step_fields(table, "group_by", read, None if name is None else f"{name}-group", on_error)
    request_old(table.node)
    node = TableGroupNode(**common, function=read)
    builder.graph.add_node(node)
    topic = builder.graph.add_topic(
        TopicDef(
            name=f"{builder.app_id}-{check_name(label, 'group_by')}-repartition",
            key_type=key_type,
            value_type=ChangeSerde(serde_for(value_type)),
            internal=True,
            where=node.where,
        )
    )
    builder.graph.add_node(RepartitionNode(name=f"{label}-repartition", parents=(node,), where=node.where, topic=topic))
    source = builder.graph.source(topic, node.where)
    return GroupedTable(builder, source, label=label, key_type=key_type, value_type=value_type)


def _fold(function: Callable[..., Any], step: str) -> UserFunction:
    return UserFunction(function, step=step, takes=3)
