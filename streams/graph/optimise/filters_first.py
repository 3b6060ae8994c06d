"""What is left out behind a repartition need not travel through it."""

from __future__ import annotations

from copy import copy

from streams.expressions import Expression
from streams.graph.nodes import FilterNode, Node, RepartitionNode
from streams.graph.plan import Graph


def filters_first(graph: Graph) -> None:
    """Ask the filters directly behind a repartition in front of it as well.

    Expressions only: they do nothing but look at the record, so asking twice is harmless. They stay behind it too, as
    records that are in the topic already have not been asked. No name changes.
    """
    for node in [node for node in graph.nodes if isinstance(node, RepartitionNode)]:
        behind = _sole_reader(graph, node)
        while isinstance(behind, FilterNode) and isinstance(behind.predicate, Expression):
            _put_before(graph, node, behind)
            behind = _sole(graph, behind)


def _sole_reader(graph: Graph, node: RepartitionNode) -> Node | None:
    """The one step that reads what this one alone writes; None if there are more."""
    return _sole(graph, graph.reader(node.topic)) if len(graph.writers(node.topic)) == 1 else None


def _sole(graph: Graph, node: Node) -> Node | None:
    behind = graph.behind(node)
    return behind[0] if len(behind) == 1 else None


def _put_before(graph: Graph, node: RepartitionNode, behind: FilterNode) -> None:
    first = copy(behind)
    first.name = f"{behind.name}-before-{node.name}"
    first.parents = node.parents
    node.parents = (first,)
    graph.nodes.insert(graph.nodes.index(node), first)
