"""Which fields of a Record are read behind a step: known where all that reads them is an expression."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from streams.expressions import Expression
from streams.graph.nodes import AggregateNode, FilterNode, MapValuesNode, NamedAggregates, Node, SelectKeyNode


def fields_read_behind(node: Node, behind: Callable[[Node], Iterable[Node]]) -> set[str] | None:
    """The fields that all steps behind a step read (`behind` gives the next ones); None if that cannot be said."""
    read: set[str] = set()
    for child in _readers(node, behind):
        own = _read_by(child)
        if own is None:
            return None
        read |= own
    return read


def reads_whole(node: Node, behind: Callable[[Node], Iterable[Node]]) -> Node | None:
    """The first step behind a step of which it is not known which fields it reads; None if there is none."""
    return next((child for child in _readers(node, behind) if _read_by(child) is None), None)


def _readers(node: Node, behind: Callable[[Node], Iterable[Node]]) -> Iterator[Node]:
    """The steps that are given the values that a step hands on."""
    for child in behind(node):
        yield child
        if not isinstance(child, AggregateNode | MapValuesNode):
            yield from _readers(child, behind)


def _read_by(node: Node) -> set[str] | None:
    if isinstance(node, AggregateNode) and isinstance(node.fold, NamedAggregates):
        return _fields(part.argument for _, part in node.fold.parts if part.argument is not None)
    if isinstance(node, FilterNode):
        return _fields([node.predicate])
    if isinstance(node, MapValuesNode | SelectKeyNode):
        return _fields([node.function])
    return None


def _fields(asked: Iterable[Any]) -> set[str] | None:
    found: set[str] = set()
    for expression in asked:
        if not isinstance(expression, Expression):
            return None
        found |= {path.partition(".")[0] for path in expression.fields}
    return found
