"""stream.join(stream), stream.left_join(stream), stream.outer_join(stream)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.dsl.joins.joining import Joining, may_meet
from streams.dsl.naming import suffix
from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, TopicDef, check_name
from streams.graph.functions import caller
from streams.graph.nodes import Node, SourceNode, StreamJoinNode
from streams.join_window import JoinWindow

if TYPE_CHECKING:
    from streams.dsl.stream import Stream


def join_stream(left: Stream, right: Stream, joining: Joining) -> Stream:
    """Records of both that have one key and lie within the window of each other."""
    where = caller()
    window = _checked(left, right, joining, where)
    function = joining.function()
    left_keyed, right_keyed = _by_key(left, right, joining)
    _check_partitions(left_keyed.node, right_keyed.node, joining, where)
    label = f"{left_keyed.label}-{right_keyed.label}"
    name = check_name(joining.name or f"{label}-{joining.step}{suffix(function)}", joining.step)
    made = joining.value_type or function.returns
    key_type = left_keyed.key_type or right_keyed.key_type
    node = StreamJoinNode(
        name=name,
        parents=(left_keyed.node, right_keyed.node),
        where=where,
        on_error=joining.on_error,
        within=window,
        joiner=function,
        keeps_left=joining.step != "join",
        keeps_right=joining.step == "outer_join",
        left_store=_store(left_keyed, f"{name}-left", window, key_type, where),
        right_store=_store(right_keyed, f"{name}-right", window, key_type, where),
        value_type=made,
    )
    return left_keyed._behind(node, label=label, key_type=key_type, value_type=made, key_changed=False)


def _checked(left: Stream, right: Stream, joining: Joining, where: str) -> JoinWindow:
    window = joining.within
    if not isinstance(window, JoinWindow):
        given = "without within=" if window is None else f"within={window!r}"
        raise TopologyError(
            f"{joining.step} at {where}: two streams meet within a time of each other, and this is {given}; write "
            'within=streams.JoinWindow("5m"), or JoinWindow(before=..., after=..., grace=...)'
        )
    if left._builder is not right._builder:
        raise TopologyError(
            f"{joining.step} at {where}: {right.label!r} belongs to the app {right._builder.app_id!r}, and "
            f"{left.label!r} to {left._builder.app_id!r}; declare its topic in one app"
        )
    if not may_meet(left.key_type, right.key_type):
        raise TopologyError(
            f"{joining.step} at {where}: keys of {left.key_type.__name__} never meet keys of "
            f"{right.key_type.__name__}, which {right.label!r} has ({right.node.where}); put .select_key(...) before, "
            "or declare another key_type"
        )
    return window


def _by_key(left: Stream, right: Stream, joining: Joining) -> tuple[Stream, Stream]:
    """Both sides with each record in the partition of its key; a stream that is both sides goes there once."""
    if left.node is right.node:
        both = left._repartitioned(joining.name or left.label) if left.key_changed else left
        return both, both
    name = joining.name
    return (
        left._repartitioned(f"{name}-left" if name else left.label) if left.key_changed else left,
        right._repartitioned(f"{name}-right" if name else right.label) if right.key_changed else right,
    )


def _check_partitions(left: Node, right: Node, joining: Joining, where: str) -> None:
    """What topics say of themselves is known now; what they have is looked at when the app starts."""
    declared = [topic for node in (left, right) for topic in _topics_of(node) if topic.partitions is not None]
    for topic in declared:
        if topic.partitions != declared[0].partitions:
            first = declared[0]
            raise TopologyError(
                f"{joining.step} at {where}: records meet by key only in topics of equal partition counts, and "
                f"{first.name!r} has {first.partitions} ({first.where}), {topic.name!r} {topic.partitions} "
                f"({topic.where}); put .repartition(partitions=...) before one of them"
            )


def _topics_of(node: Node) -> list[TopicDef]:
    if isinstance(node, SourceNode):
        return [node.topic]
    return list({id(topic): topic for parent in node.parents for topic in _topics_of(parent)}.values())


def _store(stream: Stream, name: str, window: JoinWindow, key_type: Any, where: str) -> StoreDef:
    """What one side keeps: its records by time, for as long as one of the other side may meet them."""
    builder = stream._builder
    return builder.graph.add_store(
        StoreDef(
            name=name,
            changelog=builder.changelog(name),
            key_type=key_type,
            value_type=stream.value_type,
            window_size_ms=window.before_ms + window.after_ms,
            retention_ms=window.before_ms + window.after_ms + window.grace_ms,
            where=where,
        )
    )
