"""Steps on tables that give tables: the bodies of `Table`'s methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from streams.dsl.naming import step_fields, type_of
from streams.dsl.processors import stores_given
from streams.dsl.reading import Function, read_function
from streams.durations import Duration, to_ms
from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, check_name
from streams.graph.functions import UserFunction, caller
from streams.graph.nodes import TableFilterNode, TableMapValuesNode, TableSourceNode, TableTransformValuesNode
from streams.graph.old_values import request_old
from streams.policies import Policy

if TYPE_CHECKING:
    from streams.dsl.stream import Stream
    from streams.dsl.table import Table


def filtered(
    table: Table, predicate: Function, negate: bool, name: str | None, store: str | None, on_error: Policy | None
) -> Table:
    """The rows for which the predicate holds (or, negated, does not)."""
    step = "filter_not" if negate else "filter"
    read = read_function(predicate, step, table.value_type)
    common = step_fields(table, step, read, name, on_error)
    kept = table._kept(store, table.value_type)
    node = TableFilterNode(**common, predicate=read, negate=negate, store=kept)
    # Where the table above is kept anyway, a row that never matched need not be deleted; Kafka's KTableFilter asks so.
    node.sends_old = node.asked_old = request_old(table.node, needed=False)
    return table._behind(node, kept, value_type=table.value_type)


def mapped(
    table: Table, function: Function, value_type: Any, name: str | None, store: str | None, on_error: Policy | None
) -> Table:
    """Another value for each row."""
    read = read_function(function, "map_values", table.value_type)
    made = value_type or type_of(read)
    common = step_fields(table, "map_values", read, name, on_error)
    kept = table._kept(store, made)
    node = TableMapValuesNode(**common, function=read, value_type=made, store=kept)
    return table._behind(node, kept, value_type=made)


def transformed(
    table: Table,
    transformer: Callable[..., Any],
    stores: Iterable[Any],
    value_type: Any,
    name: str | None,
    store: str | None,
    on_error: Policy | None,
) -> Table:
    """Another value for each row, by a transformer with a context and stores."""
    make: Any = transformer if _makes_transformers(transformer) else None
    function = UserFunction(transformer, step="transform_values", takes=2) if make is None else None
    common = step_fields(table, "transform_values", function, name, on_error)
    made = value_type or (None if function is None else function.returns)
    kept_in = table._kept(store, made)
    node = TableTransformValuesNode(
        **common,
        **stores_given(table._builder, stores, transformer, common),
        make=function or make,
        value_type=made,
        store=kept_in,
    )
    return table._behind(node, kept_in, value_type=made)


def _makes_transformers(given: Any) -> bool:
    """Whether it is a class with `transform`, or a partial of one."""
    while isinstance(given, partial):
        given = given.func
    if not isinstance(given, type):
        return False
    if not callable(getattr(given, "transform", None)):
        raise TopologyError(
            f"transform_values at {caller()}: {given.__name__} has no method transform(key, value); give it one, "
            "or give a function of the value, or of key and value"
        )
    return True


def kept(stream: Stream, name: str | None, store: str | None, history: Duration | None) -> Table:
    """The latest value of each key of a stream, and those it had before as far back as `history`."""
    from streams.dsl.table import Table

    keyed = stream._by_key(name)
    builder, where = keyed._builder, caller()
    table_name = check_name(name or f"{keyed.label}-to_table", "to_table")
    kept_in = check_name(store or table_name, "store")
    definition = builder.graph.add_store(
        StoreDef(
            name=kept_in,
            changelog=builder.changelog(kept_in),
            key_type=keyed.key_type,
            value_type=keyed.value_type,
            history_ms=None if history is None else to_ms(history, "history"),
            where=where,
        )
    )
    node = TableSourceNode(
        name=table_name,
        parents=(keyed.node,),
        where=where,
        store=definition,
        materialized=store is not None or history is not None,
    )
    builder.graph.add_node(node)
    return Table(builder, node, definition)
