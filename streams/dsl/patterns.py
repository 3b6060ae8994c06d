"""Topics by a pattern of their names: which those are is known when the app meets the log."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from streams.dsl.stream import Stream
from streams.errors import TopologyError
from streams.graph.definitions import TopicDef, check_name
from streams.graph.functions import caller
from streams.graph.nodes import PatternNode, RepartitionNode, SinkNode, SourceNode

if TYPE_CHECKING:
    from streams.dsl.builder import Builder
    from streams.graph.plan import Graph


def stream_of_pattern(builder: Builder, pattern: str, name: str | None, key_type: Any, value_type: Any) -> Stream:
    """The records of all topics whose whole name the pattern matches."""
    where = caller()
    try:
        re.compile(pattern)
    except re.error as error:
        raise TopologyError(f"stream at {where}: {pattern!r} is no pattern: {error}") from None
    derived = re.sub(r"[^a-zA-Z0-9._-]+", "", pattern).strip(".-_")
    if not (name or derived):
        raise TopologyError(f"stream at {where}: give it name=; nothing of {pattern!r} can stand in one")
    named = check_name(name or f"{derived}-pattern", "stream")
    node = PatternNode(name=named, where=where, pattern=pattern, key_type=key_type, value_type=value_type)
    builder.graph.add_node(node)
    return Stream(builder, node, label=named, key_type=key_type, value_type=value_type)


def match_topics(builder: Builder, there: Iterable[str], own: Iterable[str]) -> None:
    """Adds the sources of topics that are there and match; what the app writes itself is left out, and the broker's.
    A topic that is declared counts as there.

    Raises TopologyError for a pattern that matches nothing, as its tasks would have nothing to begin with.
    """
    graph = builder.graph
    known_names = {name for name, topic in graph.topics.items() if not topic.internal}.union(there)
    written = {n.topic.name for n in graph.nodes if isinstance(n, SinkNode | RepartitionNode) and n.topic is not None}
    internal = (f"{builder.app_id}-", ("-changelog", "-repartition", "-position", "-dead-letter"))
    for node in [node for node in graph.nodes if isinstance(node, PatternNode)]:
        read = {parent.topic.name for parent in node.parents}  # type: ignore[attr-defined]  # sources
        for name in sorted(known_names - written - set(own)):
            ours = name.startswith(internal[0]) and name.endswith(internal[1])
            if name in read or ours or name.startswith("__") or not re.fullmatch(node.pattern, name):
                continue
            topic = TopicDef(name=name, key_type=node.key_type, value_type=node.value_type, where=node.where)
            known = graph.topics.get(name) or graph.add_topic(topic)
            _read_too(graph, node, graph.source(known, node.where))
        if not node.parents:
            raise TopologyError(
                f"stream at {node.where}: no topic matches '{node.pattern}'; make one, or declare it with app.topic"
            )


def _read_too(graph: Graph, node: PatternNode, source: SourceNode) -> None:
    """A graph has parents before children, so the source goes to the front."""
    node.parents = (*node.parents, source)
    graph.nodes.remove(source)
    graph.nodes.insert(0, source)
