"""Streams that are given the same new key twice go through one repartition topic."""

from __future__ import annotations

from streams.expressions import Expression
from streams.graph.functions import UserFunction
from streams.graph.nodes import Node, RepartitionNode, SelectKeyNode
from streams.graph.plan import Graph


def merge_repartitions(graph: Graph) -> None:
    """Drop each repartition that writes what an earlier one writes as well; who reads it reads the earlier one's topic.

    Kafka Streams' `merge.repartition.topics`. The later topic is no longer written: switch it on or off only when the
    topics are drained, or the records in it are left behind.
    """
    kept: list[RepartitionNode] = []
    for node in [node for node in graph.nodes if isinstance(node, RepartitionNode)]:
        same = next((other for other in kept if _writes_the_same(other, node)), None)
        if same is None:
            kept.append(node)
        else:
            _read_instead(graph, node, same)


def _writes_the_same(one: RepartitionNode, other: RepartitionNode) -> bool:
    topics = one.topic, other.topic
    types = {(topic.key_type, topic.value_type) for topic in topics}
    counts = {topic.partitions for topic in topics}
    if one.partitioner is not None or other.partitioner is not None:
        return False
    return len(types) == 1 and len(counts) == 1 and _gives_the_same(one.parents[0], other.parents[0])


def _gives_the_same(one: Node, other: Node) -> bool:
    if one is other:
        return True
    if not (isinstance(one, SelectKeyNode) and isinstance(other, SelectKeyNode)):
        return False
    return one.parents[0] is other.parents[0] and _is_same(one.function, other.function)


def _is_same(one: UserFunction | Expression, other: UserFunction | Expression) -> bool:
    if isinstance(one, UserFunction) and isinstance(other, UserFunction):
        return one.call is other.call
    return isinstance(one, Expression) and isinstance(other, Expression) and repr(one) == repr(other)


def _read_instead(graph: Graph, dropped: RepartitionNode, kept: RepartitionNode) -> None:
    source, instead = graph.reader(dropped.topic), graph.reader(kept.topic)
    for node in graph.nodes:
        node.parents = tuple(instead if parent is source else parent for parent in node.parents)
    gone = [source, dropped]
    (above,) = dropped.parents
    if above is not kept.parents[0] and graph.behind(above) == [dropped]:
        gone.append(above)
    graph.nodes = [node for node in graph.nodes if not any(node is other for other in gone)]
    del graph.topics[dropped.topic.name]
