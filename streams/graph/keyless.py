"""Which repartitions hand on records without a key: those with a join behind them, however far, that lets what meets
none leave alone.

Such a join lets a record without a key leave, too (KIP-962), so it has to get there; everywhere else a repartition
leaves it out. The rule is that of Kafka Streams (`NodesWithRelaxedNullKeyJoinDownstream`).
"""

from __future__ import annotations

from streams.graph.nodes import (
    BufferedTableJoinNode,
    GlobalTableJoinNode,
    Node,
    RepartitionNode,
    SourceNode,
    StreamJoinNode,
    TableJoinNode,
)


def keep_keyless(nodes: list[Node]) -> None:
    """Sets `keyless` of the repartitions among the nodes."""
    writers: dict[str, list[RepartitionNode]] = {}
    for node in nodes:
        if isinstance(node, RepartitionNode):
            writers.setdefault(node.topic.name, []).append(node)
    above = [node for node in nodes if _lets_keyless_leave(node)]
    seen: set[int] = set()
    while above:
        node = above.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        above += node.parents
        if isinstance(node, RepartitionNode):
            node.keyless = True
        elif isinstance(node, SourceNode):
            above += writers.get(node.topic.name, [])


def _lets_keyless_leave(node: Node) -> bool:
    if isinstance(node, StreamJoinNode):
        return node.keeps_left or node.keeps_right
    return isinstance(node, TableJoinNode | BufferedTableJoinNode | GlobalTableJoinNode) and node.left
