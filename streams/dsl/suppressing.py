"""The body of `Table.suppress`: what may be held back, how long, and how much of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.durations import Duration, to_ms
from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, check_name
from streams.graph.functions import caller
from streams.graph.nodes import AggregateNode, Node, SuppressNode, WhenFull
from streams.graph.old_values import request_old
from streams.graph.versions import is_versioned
from streams.windows import SessionWindow, UnlimitedWindow, Window, Windowed

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
        # Of the keys of a stream of windows nobody knows more than that they have windows.
        key_type=None if table.like.key_type is Windowed else table.like.key_type,
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
    windows = _windows(table.node)
    if any(isinstance(window, UnlimitedWindow) for window in windows):
        raise TopologyError(f'suppress(until="close") at {where}: the windows of {table.name} have no end')
    if table.key_type is not Windowed or not windows:
        raise TopologyError(
            f'suppress(until="close") at {where}: {table.name} has no windows that could close; put windowed_by(...) '
            'before the aggregation, or hold changes back for a time: suppress(until="10s")'
        )
    return max(map(_wait_ms, windows))


def _windows(node: Node) -> list[Window]:
    """The nearest above; of a join of tables, those of both sides."""
    if isinstance(node, AggregateNode) and node.window is not None:
        return [node.window]
    return [window for parent in node.parents for window in _windows(parent)]


def _wait_ms(window: Window) -> int:
    """A session may still grow for its gap (Kafka's `SessionWindowedKStream` gives both as its grace)."""
    return window.grace_ms + (window.gap_ms if isinstance(window, SessionWindow) else 0)


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
