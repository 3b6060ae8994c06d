"""Which fields of a Record are read behind a step: known where all that reads them is an expression."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from streams.expressions import Expression
from streams.expressions.sides import SidedExpression
from streams.graph.nodes import (
    AgentNode,
    AggregateNode,
    FilterNode,
    MapValuesNode,
    NamedAggregates,
    Node,
    RepartitionNode,
    SelectKeyNode,
    SinkNode,
    TableJoinNode,
)
from streams.serde.types import without_none

_LAST = (AgentNode, AggregateNode, MapValuesNode, RepartitionNode, SinkNode, TableJoinNode)
"""Behind them are no values of the record."""


def fields_read_behind(
    node: Node, behind: Callable[[Node], Iterable[Node]], *, written: bool = False
) -> set[str] | None:
    """The fields that all steps behind a step read (`behind` gives the next ones); None if that cannot be said. What is
    written to a topic is a record of its class, or anything unless `written`: then the fields of the topic's class.
    """
    read: set[str] = set()
    for child in _readers(node, behind):
        own = _read_by(child, written)
        if own is None:
            return None
        read |= own
    return read


def reads_whole(node: Node, behind: Callable[[Node], Iterable[Node]]) -> Node | None:
    """The first step behind a step of which it is not known which fields it reads; None if there is none."""
    return next((child for child in _readers(node, behind) if _read_by(child, written=True) is None), None)


def _readers(node: Node, behind: Callable[[Node], Iterable[Node]]) -> Iterator[Node]:
    """The steps that are given the values that a step hands on."""
    for child in behind(node):
        yield child
        if not isinstance(child, _LAST):
            yield from _readers(child, behind)


def _read_by(node: Node, written: bool) -> set[str] | None:
    if isinstance(node, AggregateNode) and isinstance(node.fold, NamedAggregates):
        return _fields(part.argument for _, part in node.fold.parts if part.argument is not None)
    if isinstance(node, AgentNode):
        return None if node.columns is None else set(node.columns)
    if isinstance(node, FilterNode):
        return _fields([node.predicate])
    if isinstance(node, MapValuesNode | SelectKeyNode):
        return _fields([node.function])
    if isinstance(node, TableJoinNode) and isinstance(node.joiner, SidedExpression):
        return {field.partition(".")[0] for field in node.joiner.left_fields}
    if written and isinstance(node, SinkNode | RepartitionNode) and node.topic is not None and node.partitioner is None:
        return set(getattr(without_none(node.topic.value_type), "__struct_fields__", ())) or None
    return None


def _fields(asked: Iterable[Any]) -> set[str] | None:
    found: set[str] = set()
    for expression in asked:
        if not isinstance(expression, Expression):
            return None
        found |= {path.partition(".")[0] for path in expression.fields}
    return found
