"""Which steps run on columns, which on rows, and why: what the operators will do, said from the plan alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from streams.expressions import Expression, Making
from streams.expressions.sides import SidedExpression
from streams.graph.functions import UserFunction
from streams.graph.nodes import (
    AgentNode,
    AggregateNode,
    BranchNode,
    BufferedTableJoinNode,
    CogroupNode,
    DeduplicateNode,
    FilterNode,
    ForeignKeyJoinNode,
    GlobalTableJoinNode,
    MapValuesNode,
    MergeNode,
    NamedAggregates,
    Node,
    NotifyNode,
    PatternNode,
    RepartitionNode,
    SelectKeyNode,
    SessionAggregateNode,
    SinkNode,
    SlidingAggregateNode,
    SourceNode,
    SplitNode,
    StreamJoinNode,
    SubscribeNode,
    SubscriptionNode,
    SuppressNode,
    TableAggregateNode,
    TableFilterNode,
    TableJoinNode,
    TableMapValuesNode,
    TableMergeNode,
    TableSourceNode,
    TableTableJoinNode,
    ToStreamNode,
)
from streams.graph.plan import Plan, SubTopology
from streams.graph.twins import twin

Form = Literal["columns", "rows", "bytes"]


class Explained(NamedTuple):
    """A step, the form it runs in, and why. `functions` are those of the user's that hold it to rows; `twin` is what
    its compiled twin does, or why it does not run.
    """

    step: str
    kind: str
    form: Form
    why: str
    where: str
    value_type: Any = None
    functions: tuple[UserFunction, ...] = ()
    twin: str | None = None


def explain(plan: Plan) -> dict[str, list[Explained]]:
    """The steps of each sub-topology, parents first."""
    return {sub.id: [_explained(sub, node) for node in sub.nodes] for sub in plan.subtopologies}


def _explained(sub: SubTopology, node: Node) -> Explained:
    value_type = value_type_of(node.parents[0]) if node.parents else None
    form, why = next((say(node, value_type) for kind, say in _SAY.items() if isinstance(node, kind)), _ROWS)
    if sub.row_reason is not None and form == "columns":
        form, why = "rows", f"one record at a time, as {sub.row_reason}"
    functions = _functions(node) if form == "rows" else ()
    return Explained(node.name, node.kind, form, why, node.where, value_type, functions, twin(sub, node))


def value_type_of(node: Node) -> Any:
    """The type of the values that a step hands on, None where nobody has said it."""
    if isinstance(node, SourceNode):
        return node.topic.value_type
    if isinstance(node, TableSourceNode | AggregateNode | TableAggregateNode):
        return node.store.value_type
    if isinstance(node, TableMergeNode | ForeignKeyJoinNode):
        return node.joiner.value_type
    if hasattr(node, "value_type"):
        return node.value_type
    return value_type_of(node.parents[0]) if node.parents else None


def _functions(node: Node) -> tuple[UserFunction, ...]:
    found = [getattr(node, name) for name in ("predicate", "function") if hasattr(node, name)]
    if isinstance(node, AggregateNode) and isinstance(node.fold, NamedAggregates):
        found += [UserFunction(f, step="aggregate", takes=1) for f in _arguments(node.fold) if callable(f)]
    return tuple(one for one in found if isinstance(one, UserFunction))


def _arguments(fold: NamedAggregates) -> list[Any]:
    return [part.argument for _, part in fold.parts if part.argument is not None]


Said = tuple[Form, str]
_UNDECLARED = "the values have no declared fields: give the topic, or the step in front, a Record as value_type"
_ROWS: Said = ("rows", "a function takes one record at a time")


def _by_expression(asked: UserFunction | Expression, value_type: Any) -> Said:
    if not isinstance(asked, Expression):
        return "rows", "a function takes one record at a time"
    if not getattr(value_type, "__struct_fields__", ()):
        return "rows", _UNDECLARED
    if isinstance(asked, Making) and asked.by_row_only is not None:
        return "rows", asked.by_row_only
    return "columns", f"{asked!r} is an expression"


def _by_joiner(asked: UserFunction | SidedExpression, value_type: Any) -> Said:
    if isinstance(asked, SidedExpression):
        return _by_expression(asked.asked, value_type)
    return "rows", "a batch is looked up at once; a function takes one pair at a time, streams.record(...) columns"


def _aggregate(node: AggregateNode, value_type: Any) -> Said:
    if not isinstance(node.fold, NamedAggregates):
        return "rows", "a function folds one record at a time; named aggregates (agg.sum(...)) run on columns"
    if node.emit == "update":
        return "rows", 'emit("update") hands on every change, one by one'
    arguments = _arguments(node.fold)
    if any(not isinstance(argument, Expression) for argument in arguments):
        return "rows", "an aggregate is given a function, which takes one record at a time"
    if arguments and not getattr(value_type, "__struct_fields__", ()):
        return "rows", _UNDECLARED
    if isinstance(node, SessionAggregateNode):
        return "columns", "named aggregates of expressions are folded session by session; records out of order on rows"
    return "columns", "named aggregates of expressions are folded group by group"


def _session(node: SessionAggregateNode, value_type: Any) -> Said:
    if node.sends_old:
        return "rows", "a step behind it asks for the value that each change replaces"
    return _aggregate(node, value_type)


def _agent(node: AgentNode, value_type: Any) -> Said:
    if node.columns is not None:
        return "columns", "an agent that takes whole batches; rows are made where it asks for them"
    return "rows", "an agent iterates over records; one that takes nothing but `stream.batches()` is given columns"


_HANDED_ON: Said = ("columns", "batches are handed on as they are")
_LOOKED_UP: Said = ("rows", "a batch is looked up at once; its joiner takes one pair at a time")

_SAY: dict[type[Node], Callable[[Any, Any], Said]] = {
    TableSourceNode: lambda node, _: ("rows", "each row is kept"),
    SuppressNode: lambda node, _: ("rows", "each change is held back for itself"),
    DeduplicateNode: lambda node, _: ("rows", "each record is looked up among those that were let through"),
    TableTableJoinNode: lambda node, _: _LOOKED_UP,
    TableMergeNode: lambda node, _: _HANDED_ON if node.store is None else ("rows", "each row is kept"),
    ToStreamNode: lambda node, _: _HANDED_ON if node.told is None else ("rows", "which rows were told is kept"),
    SubscribeNode: lambda node, value_type: _by_expression(node.foreign_key, value_type),
    SubscriptionNode: lambda node, _: ("rows", "a batch is looked up at once, and answered one by one"),
    NotifyNode: lambda node, _: ("rows", "each change goes to all that subscribed to its key"),
    ForeignKeyJoinNode: lambda node, _: _LOOKED_UP,
    SourceNode: lambda node, _: ("bytes", "decoded when a step asks for rows or columns"),
    FilterNode: lambda node, value_type: _by_expression(node.predicate, value_type),
    MapValuesNode: lambda node, value_type: _by_expression(node.function, value_type),
    TableFilterNode: lambda node, value_type: _by_expression(node.predicate, value_type),
    TableMapValuesNode: lambda node, value_type: _by_expression(node.function, value_type),
    SelectKeyNode: lambda node, value_type: _by_expression(node.function, value_type),
    TableJoinNode: lambda node, value_type: _by_joiner(node.joiner, value_type),
    BufferedTableJoinNode: lambda node, value_type: _by_joiner(node.joiner, value_type),
    GlobalTableJoinNode: lambda node, value_type: _by_joiner(node.joiner, value_type),
    MergeNode: lambda node, _: ("columns", "batches are handed on as they are"),
    SessionAggregateNode: _session,
    SlidingAggregateNode: lambda node, _: ("rows", "each record makes windows of its own"),
    CogroupNode: lambda node, _: ("rows", "a function folds one record at a time"),
    AggregateNode: _aggregate,
    StreamJoinNode: lambda node, _: ("rows", "a batch is looked up at once; its joiner takes one pair at a time"),
    AgentNode: _agent,
    PatternNode: lambda node, _: ("columns", "batches are handed on as they are"),
    BranchNode: lambda node, _: ("columns", "batches are handed on as they are"),
    SplitNode: lambda node, value_type: next(
        (said for one in node.predicates if (said := _by_expression(one, value_type))[0] == "rows"),
        ("columns", "its predicates are expressions"),
    ),
    SinkNode: lambda node, _: ("bytes", "encoded a batch at a time"),
    RepartitionNode: lambda node, _: ("bytes", "encoded a batch at a time"),
}
