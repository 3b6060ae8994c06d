"""stream.join(table), stream.left_join(table); with `grace=` records wait for late changes of a versioned table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.dsl.joins.joining import Joining, may_meet, named_by
from streams.dsl.naming import step_fields
from streams.durations import format_ms, to_ms
from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, check_name
from streams.graph.functions import caller
from streams.graph.lookups import looking_into
from streams.graph.nodes import BufferedTableJoinNode, Node, TableJoinNode
from streams.graph.versions import is_versioned

if TYPE_CHECKING:
    from streams.dsl.stream import Stream
    from streams.dsl.table import Table


def join_table(stream: Stream, table: Table, joining: Joining) -> Stream:
    """Each record with the table's value for its key, as the table stands then; if the table is versioned, with what it
    was at the record's time.
    """
    asked = joining.asked(stream.value_type, table.value_type)
    keyed = stream._repartitioned(joining.name or stream.label) if stream.key_changed else stream
    made = joining.made(asked)
    common = step_fields(keyed, joining.step, named_by(asked), joining.name, joining.on_error)
    if not may_meet(keyed.key_type, table.key_type):
        raise TopologyError(
            f"{joining.step} at {common['where']}: keys of {keyed.key_type.__name__} never meet keys of "
            f"{table.key_type.__name__}, which table {table.name!r} has ({table.node.where}); "
            "put .select_key(...) before, or declare another key_type"
        )
    looked = looking_into(table.node)
    common |= {"joiner": asked, "left": joining.step == "left_join", "value_type": made}
    common |= {"table": table.node, "looked": looked}
    node: Node = TableJoinNode(**common)
    if joining.grace is not None:
        grace_ms = to_ms(joining.grace, "grace")
        _check_grace(joining, table, looked, grace_ms)
        node = BufferedTableJoinNode(**common, buffer=_buffer(keyed, table, joining), grace_ms=grace_ms)
    return keyed._behind(node, label=f"{keyed.label}-{table.name}", value_type=made)


def _check_grace(joining: Joining, table: Table, looked: tuple[StoreDef, ...], grace_ms: int) -> None:
    """The table has to know what it held so far back (Kafka Streams' `StreamTableJoinNode`)."""
    if not is_versioned(table.node):
        raise TopologyError(
            f"{joining.step} at {caller()}: grace= needs a table that knows what it held before, and {table.name!r} "
            f"({table.node.where}) keeps only the latest; make it versioned: topic.table(history=...)"
        )
    history_ms = min(store.history_ms or 0 for store in looked)
    if grace_ms > history_ms:
        raise TopologyError(
            f"{joining.step} at {caller()}: grace={format_ms(grace_ms)} is more than the history of {table.name!r}, "
            f"{format_ms(history_ms)} ({table.node.where}): a record that waits so long would find nothing"
        )


def _buffer(stream: Stream, table: Table, joining: Joining) -> StoreDef:
    """Where records wait."""
    builder = stream._builder
    name = check_name(f"{joining.name or f'{stream.label}-{table.name}-{joining.step}'}-buffer", "store")
    return builder.graph.add_store(
        StoreDef(
            name=name,
            changelog=builder.changelog(name),
            key_type=bytes,
            value_type=stream.value_type,
            where=caller(),
        )
    )
