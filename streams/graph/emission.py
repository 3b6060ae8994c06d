"""Which aggregations tell each change at once, though they would at commits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streams.graph.nodes import Node, TableMergeNode, TableNode


def told_at_once(nodes: Iterable[Node]) -> frozenset[str]:
    """Those at the bottom of a join of tables that hands on what its rows replace, and does not keep them. Such a row
    is computed from both tables, and one of them would show what it has not told yet: the join would take back rows
    that never were.
    """
    joins = (node for node in nodes if isinstance(node, TableMergeNode) and node.sends_old and node.store is None)
    return frozenset(found.name for join in joins for side in (join.left, join.right) for found in _bottom(side))


def _bottom(table: Node) -> Iterator[Node]:
    if isinstance(table, TableNode) and table.store is not None:
        yield table
    else:
        for parent in table.parents:
            yield from _bottom(parent)
