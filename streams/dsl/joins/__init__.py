"""Joins of streams and tables: which one it is, by what the other side is. One file for each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.dsl.joins.joining import Joining
from streams.dsl.reading import Function
from streams.errors import TopologyError
from streams.graph.functions import caller

if TYPE_CHECKING:
    from streams.dsl.stream import Stream
    from streams.dsl.table import Table

__all__ = ["Joining", "join", "join_of_table"]


def join(stream: Stream, other: Any, joining: Joining) -> Stream:
    """The stream behind the join. Raises TopologyError for what a stream does not join with."""
    from streams.dsl.global_table import GlobalTable
    from streams.dsl.joins.stream_global import join_global
    from streams.dsl.joins.stream_stream import join_stream
    from streams.dsl.joins.stream_table import join_table
    from streams.dsl.stream import Stream
    from streams.dsl.table import Table

    _check(joining, other)
    if isinstance(other, Stream):
        return join_stream(stream, other, joining)
    if isinstance(other, GlobalTable):
        return join_global(stream, other, joining)
    if isinstance(other, Table):
        return join_table(stream, other, joining)
    raise TopologyError(
        f"{joining.step} at {caller()}: give a stream (topic.stream()) or a table (topic.table(), or an aggregation); "
        f"{_named(other)}"
    )


def _check(joining: Joining, other: Any) -> None:
    """Raises TopologyError for what is asked for of a join with something else on the other side."""
    from streams.dsl.global_table import GlobalTable
    from streams.dsl.stream import Stream
    from streams.dsl.table import Table

    if joining.key is not None and not isinstance(other, GlobalTable):
        raise TopologyError(
            f"{joining.step} at {caller()}: key= is for global tables (topic.global_table()); anything "
            "else is met by the records' own key: put .select_key(...) before"
        )
    if joining.grace is not None and not isinstance(other, Table):
        raise TopologyError(
            f"{joining.step} at {caller()}: grace= is for the join with a versioned table (topic.table(history=...)), "
            f"and {_named(other)}; the grace of two streams' join stands in JoinWindow(grace=)"
        )
    if isinstance(other, Stream):
        return
    if joining.step == "outer_join":
        raise TopologyError(
            f"outer_join at {caller()} is for two streams, and {_named(other)}: only the stream's records trigger "
            "results there, so use left_join"
        )
    if joining.within is not None:
        raise TopologyError(
            f"{joining.step} at {caller()}: within= is for the join of two streams, and {_named(other)}; leave it out, "
            "or give a stream"
        )


def _named(other: Any) -> str:
    return f"the other side is a {type(other).__name__}"


def join_of_table(
    table: Table, other: Any, joining: Joining, foreign_key: Function | None = None, store: str | None = None
) -> Table:
    """The table behind the join. Raises TopologyError for what a table does not join with."""
    from streams.dsl.joins.foreign_key import join_by_foreign_key
    from streams.dsl.joins.table_table import join_table_table
    from streams.dsl.table import Table

    if not isinstance(other, Table):
        raise TopologyError(
            f"{joining.step} at {caller()}: a table joins with a table, not with {type(other).__name__}. Write "
            "stream.join(table, ...) to look a stream's records up in the table, or make a table of a stream: "
            ".to_table(), or an aggregation"
        )
    if foreign_key is None:
        return join_table_table(table, other, joining, store)
    return join_by_foreign_key(table, other, joining, foreign_key, store)
