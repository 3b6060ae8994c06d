"""stream.join(table), stream.left_join(table)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.dsl.joins.joining import Joining, may_meet
from streams.errors import TopologyError
from streams.graph.lookups import looking_into
from streams.graph.nodes import TableJoinNode

if TYPE_CHECKING:
    from streams.dsl.stream import Stream
    from streams.dsl.table import Table


def join_table(stream: Stream, table: Table, joining: Joining) -> Stream:
    """Each record with the table's value for its key, as the table stands then."""
    function = joining.function()
    left = joining.step == "left_join"
    keyed = stream._repartitioned(joining.name or stream.label, keyless=left) if stream.key_changed else stream
    made = joining.value_type or function.returns
    common = keyed._common(joining.step, function, joining.name, joining.on_error)
    if not may_meet(keyed.key_type, table.key_type):
        raise TopologyError(
            f"{joining.step} at {common['where']}: keys of {keyed.key_type.__name__} never meet keys of "
            f"{table.key_type.__name__}, which table {table.name!r} has ({table.node.where}); "
            "put .select_key(...) before, or declare another key_type"
        )
    looked = looking_into(table.node)
    node = TableJoinNode(**common, table=table.node, looked=looked, joiner=function, left=left, value_type=made)
    return keyed._behind(node, label=f"{keyed.label}-{table.name}", value_type=made)
