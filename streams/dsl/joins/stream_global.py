"""stream.join(global_table, key=f), stream.left_join(global_table, key=f)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.dsl.joins.joining import Joining, may_meet, named_by
from streams.dsl.naming import step_fields, type_of
from streams.dsl.reading import read_function
from streams.errors import TopologyError
from streams.graph.functions import caller
from streams.graph.nodes import GlobalTableJoinNode

if TYPE_CHECKING:
    from streams.dsl.global_table import GlobalTable
    from streams.dsl.stream import Stream


def join_global(stream: Stream, table: GlobalTable, joining: Joining) -> Stream:
    """Each record with the table's value for the key that is computed from it; the record's own key stays."""
    if joining.key is None:
        raise TopologyError(
            f"{joining.step} at {caller()}: {table.name!r} is a global table, so say by what its rows are found: "
            "key=lambda value: ..., key=lambda key, value: ..., or a field such as key=Flight.carrier"
        )
    key = read_function(joining.key, f"{joining.step} key=", stream.value_type)
    asked = joining.asked(stream.value_type, table.store.value_type)
    common = step_fields(stream, joining.step, named_by(asked), joining.name, joining.on_error)
    found, kept = type_of(key), table.store.key_type
    if not may_meet(found, kept):
        raise TopologyError(
            f"{joining.step} at {common['where']}: key= gives {found.__name__}, which is never a key of "
            f"{kept.__name__}, as table {table.name!r} has ({table.store.where})"
        )
    made = joining.made(asked)
    left = joining.step == "left_join"
    node = GlobalTableJoinNode(**common, table=table.store, key=key, joiner=asked, left=left, value_type=made)
    return stream._behind(node, label=f"{stream.label}-{table.name}", value_type=made)
