"""Joins of a stream: which one it is, by what the other side is. One file for each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.dsl.joins.joining import Joining
from streams.errors import TopologyError
from streams.graph.functions import caller

if TYPE_CHECKING:
    from streams.dsl.stream import Stream

__all__ = ["Joining", "join"]


def join(stream: Stream, other: Any, joining: Joining) -> Stream:
    """The stream behind the join. Raises TopologyError for what a stream does not join with."""
    from streams.dsl.global_table import GlobalTable
    from streams.dsl.joins.stream_global import join_global
    from streams.dsl.joins.stream_table import join_table
    from streams.dsl.table import Table

    if isinstance(other, GlobalTable):
        return join_global(stream, other, joining)
    if joining.key is not None:
        raise TopologyError(
            f"{joining.step} at {caller()}: key= is for global tables (topic.global_table()); records meet the rows of "
            "a table by their own key: put .select_key(...) before"
        )
    if isinstance(other, Table):
        return join_table(stream, other, joining)
    raise TopologyError(
        f"{joining.step} at {caller()}: give a table (topic.table(), or an aggregation), not {type(other).__name__}"
    )
