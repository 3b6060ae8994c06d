"""What a whole graph shows to be wrong, and no step alone: parts of another app, and a circle without a way out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, TopicDef
from streams.graph.nodes import MapNode, MapValuesNode, MergeNode, Node, PeekNode, SelectKeyNode, SinkNode, SourceNode
from streams.graph.plan import Graph

_HAND_ON_EACH = (SourceNode, MapNode, MapValuesNode, SelectKeyNode, PeekNode, MergeNode, SinkNode)
"""Steps that leave no record out."""


def check(graph: Graph, app_id: str) -> None:
    """Raises TopologyError, with the user's line, for a graph that cannot run."""
    _check_belongings(graph, app_id)
    _check_circles(graph)


def _check_belongings(graph: Graph, app_id: str) -> None:
    own = {id(node) for node in graph.nodes} | {id(node) for node in graph.globals}
    for node in graph.nodes:
        for name, where in _strangers(node, graph, own):
            raise TopologyError(
                f"{node.kind} at {node.where}: {name!r} (at {where}) is of another app than {app_id!r}; declare its "
                "topic in this one too, app.topic(...)"
            )


def _strangers(node: Node, graph: Graph, own: set[int]) -> Iterator[tuple[str, str]]:
    """What a step has of another graph: names and lines."""
    for parent in node.parents:
        if id(parent) not in own:
            yield parent.name, parent.where
    for field in fields(node):
        match getattr(node, field.name):
            case Node() as other if id(other) not in own:
                yield other.name, other.where
            case TopicDef() as topic if topic.name not in graph.topics:
                yield topic.name, topic.where
            case StoreDef() as store if store.name not in graph.stores:
                yield store.name, store.where


def _check_circles(graph: Graph) -> None:
    """A topic may feed itself, as in Kafka Streams, if there is a step on the way that can leave records out."""
    for sink in graph.nodes:
        if isinstance(sink, SinkNode) and sink.topic is not None:
            for source in graph.nodes:
                if isinstance(source, SourceNode) and source.topic.name == sink.topic.name:
                    _check_way(graph, source, sink)


def _check_way(graph: Graph, source: SourceNode, sink: SinkNode) -> None:
    if source in _certain_inputs(graph, sink):
        raise TopologyError(
            f"to at {sink.where}: each record of topic {source.topic.name!r} (read at {source.where}) comes back to "
            "it, as no step in between leaves any out, and would go round for ever; write to another topic, or put "
            ".filter(...) in between"
        )


def _certain_inputs(graph: Graph, sink: SinkNode) -> list[Node]:
    """The steps whose every record gets to the sink, by way of other topics too."""
    found: list[Node] = []
    left: list[Node] = [sink]
    while left:
        node = left.pop()
        if node in found or not isinstance(node, _HAND_ON_EACH):
            continue
        found.append(node)
        left += node.parents
        if isinstance(node, SourceNode):
            left += [other for other in graph.nodes if isinstance(other, SinkNode) and other.topic is node.topic]
    return found
