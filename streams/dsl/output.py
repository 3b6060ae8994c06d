"""to, through and print: where records leave a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from streams.dsl.naming import step_fields, step_name
from streams.graph.definitions import TopicDef, check_name
from streams.graph.functions import UserFunction, caller
from streams.graph.nodes import PrintNode, SinkNode
from streams.policies import Policy

if TYPE_CHECKING:
    from streams.dsl.stream import Stream


class Printing(NamedTuple):
    """What `print` is told."""

    function: Callable[..., Any] | None
    label: str | None
    to: Any


def to(
    stream: Stream, topic: Any, partitioner: Callable[..., Any] | None, name: str | None, on_error: Policy | None
) -> None:
    """Adds the step that writes a stream to a topic, or to those that a function names."""
    graph, where = stream._builder.graph, caller()
    partitions = read_partitioner(partitioner)
    if callable(topic) and not isinstance(topic, str) and not hasattr(topic, "definition"):
        choose = UserFunction(topic, step="to", takes=2)
        common = step_fields(stream, "to", choose, name, on_error)
        graph.add_node(SinkNode(**common, choose=choose, topics=graph.topics, partitioner=partitions))
        return
    definition = _topic(stream, topic, where)
    named = name or step_name(graph, stream.label, f"to-{definition.name}", None, where)
    common = step_fields(stream, "to", None, named, on_error)
    graph.add_node(SinkNode(**common, topic=definition, partitioner=partitions))


def through(
    stream: Stream, topic: Any, partitioner: Callable[..., Any] | None, name: str | None, on_error: Policy | None
) -> Stream:
    """Adds the step that writes a stream to a topic, and gives what is read from there."""
    from streams.dsl.stream import Stream

    builder, where = stream._builder, caller()
    definition = _topic(stream, topic, where)
    to(stream, topic, partitioner, name, on_error)
    source = builder.graph.source(definition, where)
    label, key_type, value_type = definition.name, definition.key_type, definition.value_type
    return Stream(builder, source, label=label, key_type=key_type, value_type=value_type)


def _topic(stream: Stream, topic: Any, where: str) -> TopicDef:
    if isinstance(topic, str):
        graph = stream._builder.graph
        made = TopicDef(
            name=check_name(topic, "topic"), key_type=stream.key_type, value_type=stream.value_type, where=where
        )
        return graph.topics.get(topic) or graph.add_topic(made)
    definition: TopicDef = topic.definition
    return definition


def read_partitioner(function: Callable[..., Any] | None) -> UserFunction | None:
    """A function of (key, value, partitions), or of (value, partitions)."""
    return None if function is None else UserFunction(function, step="partitioner", takes=3)


def print_records(stream: Stream, told: Printing, name: str | None, on_error: Policy | None) -> None:
    """Adds the step that prints a stream."""
    function = None if told.function is None else UserFunction(told.function, step="print", takes=2)
    common = step_fields(stream, "print", function, name, on_error)
    node = PrintNode(**common, label=told.label or stream.label, to=told.to, function=function)
    stream._builder.graph.add_node(node)
