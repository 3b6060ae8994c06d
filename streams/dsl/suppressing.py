"""The body of `Table.suppress`: what may be held back, how long, and how much of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.durations import Duration, to_ms
from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, check_name
from streams.graph.functions import caller
from streams.graph.nodes import AggregateNode, Node, SuppressNode, WhenFull
from streams.graph.old_values import request_old
from streams.graph.versions import is_versioned
from streams.windows import Windowed

if TYPE_CHECKING:
    from streams.dsl.table import Table


def suppressed(
    table: Table,
    until: Duration,
    max_records: int | None,
    max_bytes: int | None,
    when_full: WhenFull | None,
    name: str | None,
) -> Table:
    """The table whose changes come later, and fewer of them."""
    where = caller()
    close = until == "close"
    wait_ms = _wait_until_closed_ms(table, where) if close else to_ms(until, "until")
    full = _when_full(close, max_records, max_bytes, when_full, where)
    if is_versioned(table.node):
        raise TopologyError(
            f"suppress at {where}: {table.name} keeps versions, and its changes may be out of order; suppress a table "
            "without history="
        )
    made = check_name(name or f"{table.label}-suppress", "suppress")
    builder = table._builder
    buffer = StoreDef(name=made, changelog=builder.changelog(made), key_type=bytes, value_type=bytes, where=where)
    builder.graph.add_store(buffer)
    # What the buffer says of a key that waits is what the key was before (Kafka asks its parent in any case).
    request_old(table.node)
    node = SuppressNode(
        name=made,
        parents=(table.node,),
        where=where,
        buffer=buffer,
        key_type=table.like.key_type if table.key_type is Windowed else table.key_type,
        windowed=table.key_type is Windowed,
        value_type=table.value_type,
        wait_ms=wait_ms,
        until_close=close,
        records_max=max_records,
        bytes_max=max_bytes,
        when_full=full,
    )
    return table._behind(node, None, value_type=table.value_type)


def _wait_until_closed_ms(table: Table, where: str) -> int:
    """For how long after its end a window of the table is open."""
    waits = _waits_ms(table.node)
    if table.key_type is not Windowed or not waits:
        raise TopologyError(
            f'suppress(until="close") at {where}: {table.name} has no windows that could close; put windowed_by(...) '
            'before the aggregation, or hold changes back for a time: suppress(until="10s")'
        )
    return max(waits)


def _waits_ms(node: Node) -> list[int]:
    """Those of the nearest windows above; of a join of tables, of both sides."""
    window: Any = node.window if isinstance(node, AggregateNode) else None
    if window is not None:
        # A session may still grow for its gap (Kafka's SessionWindowedKStream gives both as its grace).
        return [window.grace_ms + getattr(window, "gap_ms", 0)]
    return [wait for parent in node.parents for wait in _waits_ms(parent)]


def _when_full(
    close: bool, max_records: int | None, max_bytes: int | None, when_full: WhenFull | None, where: str
) -> WhenFull:
    limits = {"max_records": max_records, "max_bytes": max_bytes}
    for what, limit in limits.items():
        if limit is not None and limit < 0:
            raise TopologyError(f"suppress at {where}: {what}={limit} is less than nothing")
    if when_full not in (None, "emit", "stop"):
        raise TopologyError(f'suppress at {where}: when_full is "emit" or "stop", not {when_full!r}')
    if when_full is not None and max_records is None and max_bytes is None:
        raise TopologyError(f"suppress at {where}: when_full={when_full!r} needs max_records= or max_bytes=")
    if close and when_full == "emit":
        raise TopologyError(
            f'suppress(until="close") at {where}: what leaves before its window is closed is not final, so a full '
            'buffer can only stop the app: when_full="stop"'
        )
    return when_full or ("stop" if close else "emit")
