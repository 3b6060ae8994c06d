"""table.join(table), table.left_join(table), table.outer_join(table)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from streams.dsl.joins.joining import Joining, may_meet, named_by
from streams.dsl.naming import suffix
from streams.errors import TopologyError
from streams.expressions.sides import SidedExpression
from streams.graph.definitions import StoreDef, check_name
from streams.graph.functions import UserFunction, caller
from streams.graph.lookups import looking_into
from streams.graph.nodes import (
    ForeignKeyJoinNode,
    Node,
    SourceNode,
    TableJoiner,
    TableMergeNode,
    TableNode,
    TableTableJoinNode,
    ToStreamNode,
)
from streams.graph.old_values import request_old

if TYPE_CHECKING:
    from streams.dsl.table import Table

NEEDS = {"join": (True, True), "left_join": (True, False), "outer_join": (False, False)}
"""Which of the two values there must be for a row."""


def join_table_table(left: Table, right: Table, joining: Joining, store: str | None) -> Table:
    """A row for each key that the two tables have, whichever of them changes."""
    where, asked = caller(), joining.asked(left.value_type, right.value_type)
    check_keys(left.key_type, right, joining, where)
    name = check_name(joining.name or derived_name(left, right, joining, asked), joining.step)
    joiner = joiner_of(joining, asked)
    apart = _tells_all(left.node) and _tells_all(right.node)
    apart = apart and not sources_above(left.node) & sources_above(right.node)
    sides = _sides(left, right, name, where, joining, joiner, apart)
    made = left._kept(store, joiner.value_type)
    node = TableMergeNode(
        name=name,
        parents=sides,
        where=where,
        on_error=joining.on_error,
        store=made,
        left=left.node,
        right=right.node,
        joiner=joiner,
        apart=apart,
    )
    # Kafka Streams asks those whose rows may be missing on the other side; ours has to know of the others as well.
    request_old(left.node, shown=joining.step != "join")
    request_old(right.node, shown=joining.step == "outer_join")
    return left._behind(node, made, value_type=joiner.value_type)


def _sides(
    left: Table, right: Table, name: str, where: str, joining: Joining, joiner: TableJoiner, apart: bool
) -> tuple[Node, Node]:
    made: list[Node] = []
    for own, other, side in ((left, right, "left"), (right, left, "right")):
        node = TableTableJoinNode(
            name=f"{name}-{side}",
            parents=(own.node,),
            where=where,
            on_error=joining.on_error,
            other=other.node,
            looked=looking_into(other.node),
            joiner=joiner,
            is_left=side == "left",
            apart=apart,
        )
        own._builder.graph.add_node(node)
        made.append(node)
    return made[0], made[1]


def _tells_all(node: Node) -> bool:
    """Whether the old values of a table are what it told before; not where one record changes two tables in it."""
    if isinstance(node, TableMergeNode):
        return node.apart
    return not isinstance(node, TableNode) or all(_tells_all(parent) for parent in node.parents)


def joiner_of(joining: Joining, asked: UserFunction | SidedExpression) -> TableJoiner:
    """The joiner with what it needs; an expression is asked row by row."""
    function = asked
    if isinstance(function, SidedExpression):
        function = UserFunction(function.row_function, step=joining.step, takes=3)
    return TableJoiner(function, *NEEDS[joining.step], joining.made(asked))


def derived_name(left: Table, right: Table, joining: Joining, asked: UserFunction | SidedExpression) -> str:
    """From the tables, the operator and the user's function."""
    return f"{left.label}-{joining.step}-{right.label}{suffix(named_by(asked))}"


def check_keys(key_type: Any, right: Table, joining: Joining, where: str, what: str = "keys") -> None:
    """Raises TopologyError for keys that cannot be equal."""
    if not may_meet(key_type, right.key_type):
        raise TopologyError(
            f"{joining.step} at {where}: {what} of {key_type.__name__} never meet keys of {right.key_type.__name__}, "
            f"which table {right.name!r} has ({right.node.where}); declare another key_type, or say foreign_key="
        )


def sources_above(node: Node) -> set[str]:
    """The names of the topics that feed a step."""
    own = {node.topic.name} if isinstance(node, SourceNode) else set()
    return own.union(*(sources_above(parent) for parent in node.parents))


def leaving(table: Table) -> Node:
    """The step whose records are the table's as a stream."""
    if not _has_join(table.node):
        return table.node
    graph, name = table._builder.graph, f"{table.node.name}-to-stream"
    for node in graph.nodes:
        if node.name == name and isinstance(node, ToStreamNode):
            return node
    told = None if _tells_all(table.node) else _told(table, name)
    node = ToStreamNode(name=name, parents=(table.node,), where=caller(), told=told)
    graph.add_node(node)
    return node


def _told(table: Table, name: str) -> StoreDef | None:
    """A store of which rows were told. Its name has to last, so it must not come from a line."""
    if re.search(r"-line-\d+", name):
        raise TopologyError(
            f"to_stream at {caller()}: what a table that is joined with itself has told is kept in a store, whose name "
            f"must last: give the step {table.node.name!r} at {table.node.where} a name="
        )
    return table._kept(f"{name}-rows", bool)


def _has_join(node: Node) -> bool:
    """Whether changes that change nothing may come out of the step."""
    if isinstance(node, TableMergeNode | ForeignKeyJoinNode):
        return True
    return isinstance(node, TableNode) and any(_has_join(parent) for parent in node.parents)
