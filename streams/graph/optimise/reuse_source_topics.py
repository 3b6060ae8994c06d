"""A table that is a topic as it stands needs no changelog of its own: the topic is it."""

from __future__ import annotations

from streams.graph.nodes import SourceNode, TableSourceNode
from streams.graph.plan import Graph


def reuse_source_topics(graph: Graph) -> None:
    """Have each table that reads a topic directly be restored from that topic, up to the committed offset.

    Kafka Streams' `reuse.ktable.source.topics`. Switched on or off, the table is built anew once, from the topic that
    then serves.
    """
    for node in graph.nodes:
        if isinstance(node, TableSourceNode) and isinstance(node.parents[0], SourceNode):
            topic = node.parents[0].topic
            # Which versions a versioned table has taken, and which came too late for it, its topic does not say.
            if not topic.internal and not node.store.versioned:
                node.store.source_topic, node.store.changelog = topic, topic.name
