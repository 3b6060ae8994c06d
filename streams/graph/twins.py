"""Which steps have a compiled twin (extra `fast`), and what keeps one from running: said from the plan alone."""

from __future__ import annotations

from typing import Any

from streams.expressions.sides import SidedExpression
from streams.graph.fields_read import reads_whole
from streams.graph.nodes import (
    AggregateNode,
    NamedAggregates,
    Node,
    RepartitionNode,
    SinkNode,
    SourceNode,
    TableJoinNode,
)
from streams.graph.plan import SubTopology
from streams.models import timestamp_field
from streams.serde.json_fields import why_not, why_not_written
from streams.serde.types import without_none


def twin(sub: SubTopology, node: Node) -> str | None:
    """What the twin of a step does, or why it does not run; None if it has none."""
    if isinstance(node, SourceNode):
        return _source(sub, node)
    if isinstance(node, AggregateNode) and isinstance(node.fold, NamedAggregates) and sub.row_reason is None:
        return "compiled: keys to groups, folds, results and stored states, where inputs are columns"
    if isinstance(node, TableJoinNode) and isinstance(node.joiner, SidedExpression) and sub.row_reason is None:
        return "compiled: keys to rows, each looked up once, where they are as they were fetched"
    if isinstance(node, SinkNode | RepartitionNode) and node.topic is not None and node.partitioner is None:
        return _written(without_none(node.topic.value_type))
    return None


def _written(record: Any) -> str | None:
    reason = None if record is None else why_not_written(record)
    return "compiled: columns to JSON, where no step has made rows" if reason is None else f"not compiled: {reason}"


def _source(sub: SubTopology, node: SourceNode) -> str:
    if sub.row_reason is not None:
        return f"not compiled: one record at a time, as {sub.row_reason}"
    if node.fields_read is None:
        whole = reads_whole(node, lambda one: [child for child, _ in sub.children(one)])
        return f"not compiled: {'a step' if whole is None else whole.name} may read anything of the values"
    event_time = timestamp_field(node.topic.value_type)
    wanted = sorted(node.fields_read | ({event_time} if event_time is not None else set()))
    reason = why_not(node.topic.value_type, wanted)
    if reason is not None:
        return f"not compiled: {reason}"
    return f"compiled: {', '.join(wanted) if wanted else 'nothing'} of the values into columns, straight from JSON"
