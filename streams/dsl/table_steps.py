"""Steps on tables that give tables: the bodies of `Table`'s methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streams.dsl.naming import type_of
from streams.expressions import Expression
from streams.graph.definitions import StoreDef, check_name
from streams.graph.functions import UserFunction, caller
from streams.graph.nodes import TableFilterNode, TableMapValuesNode, TableSourceNode
from streams.graph.old_values import request_old
from streams.policies import Policy

if TYPE_CHECKING:
    from streams.dsl.stream import Stream
    from streams.dsl.table import Table

Function = Callable[..., Any] | Expression


def filtered(
    table: Table, predicate: Function, negate: bool, name: str | None, store: str | None, on_error: Policy | None
) -> Table:
    """The rows for which the predicate holds (or, negated, does not)."""
    step = "filter_not" if negate else "filter"
    read = _read(predicate, step)
    common = table._common(step, read, name, on_error)
    kept = table._kept(store, table.value_type)
    node = TableFilterNode(**common, predicate=read, negate=negate, store=kept)
    # Where the table above is kept anyway, a row that never matched need not be deleted; Kafka's KTableFilter asks so.
    node.sends_old = request_old(table.node, needed=False)
    return table._behind(node, kept, value_type=table.value_type)


def mapped(
    table: Table, function: Function, value_type: Any, name: str | None, store: str | None, on_error: Policy | None
) -> Table:
    """Another value for each row."""
    read = _read(function, "map_values")
    made = value_type or type_of(read)
    common = table._common("map_values", read, name, on_error)
    kept = table._kept(store, made)
    node = TableMapValuesNode(**common, function=read, value_type=made, store=kept)
    return table._behind(node, kept, value_type=made)


def kept(stream: Stream, name: str | None, store: str | None) -> Table:
    """The latest value of each key of a stream."""
    from streams.dsl.table import Table

    keyed = stream._repartitioned(name or stream.label) if stream.key_changed else stream
    builder, where = keyed._builder, caller()
    table_name = check_name(name or f"{keyed.label}-to_table", "to_table")
    kept_in = check_name(store or table_name, "store")
    definition = builder.graph.add_store(
        StoreDef(
            name=kept_in,
            changelog=builder.changelog(kept_in),
            key_type=keyed.key_type,
            value_type=keyed.value_type,
            where=where,
        )
    )
    node = TableSourceNode(
        name=table_name,
        parents=(keyed.node,),
        where=where,
        store=definition,
        materialized=store is not None,
    )
    builder.graph.add_node(node)
    return Table(builder, node, definition)


def _read(function: Function, step: str) -> UserFunction | Expression:
    return function if isinstance(function, Expression) else UserFunction(function, step=step, takes=2)
