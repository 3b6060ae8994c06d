"""Why a sub-topology has to go one record at a time: where branches meet again, or one step's write is another's read
within one record, a batch at a time would not give the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from streams.graph.nodes import (
    BranchNode,
    DeduplicateNode,
    FilterNode,
    FlatMapNode,
    FlatMapValuesNode,
    MapNode,
    MapValuesNode,
    MergeNode,
    Node,
    PeekNode,
    SelectKeyNode,
    SinkNode,
    SourceNode,
    SplitNode,
    TableJoinNode,
)

if TYPE_CHECKING:
    from streams.graph.plan import SubTopology

_ONE_BY_ONE = (
    *(SourceNode, FilterNode, MapNode, MapValuesNode, FlatMapNode, FlatMapValuesNode, SelectKeyNode),
    *(PeekNode, MergeNode, SplitNode, BranchNode, DeduplicateNode, TableJoinNode),
)
"""Steps that answer each record at once, and only then."""


def row_reason(sub: SubTopology) -> str | None:
    """Why the sub-topology cannot take a batch at a time and still give what a record at a time gives; None if it
    can.
    """
    for store in sub.stores:
        if store.ttl_ms is not None:
            return f"the table {store.name} forgets keys by time (ttl), which each record moves on"
    reason = _turns(sub)
    if reason is not None:
        return reason
    ancestors = sub.sources_above(called=True)
    for node in sub.nodes:
        if len(node.parents) > 1:
            shared = _shared(ancestors[id(parent)] for parent in node.parents)
            if shared:
                return f"branches of {shared} meet again in {node.name}"
    for reason in (_shared_store(sub, ancestors), _shared_output(sub, ancestors)):
        if reason is not None:
            return reason
    return None


def _turns(sub: SubTopology) -> str | None:
    """Why a processor of the sub-topology has to be asked after each record whether a call of it is due. One alone
    looks itself, before each record, if each record comes to it as it was read.
    """
    processes = sub.processes
    if len(processes) > 1:
        return f"{processes[0].name} and {processes[1].name} may be called by time in turn"
    above = [parent for node in processes for parent in node.parents]
    while above:
        node = above.pop()
        if not isinstance(node, _ONE_BY_ONE):
            return f"what {node.name} gives may come later than the time at which a call is due"
        above += node.parents
    return None


def _shared_store(sub: SubTopology, ancestors: dict[int, set[str]]) -> str | None:
    for store in sub.stores:
        users = [node for node in sub.nodes if store in node.stores]
        for writer in (node for node in users if store in node.writes):
            for other in users:
                both = ancestors[id(writer)] & ancestors[id(other)]
                if other is not writer and both:
                    shared = f"{writer.name} writes the store {store.name} that {other.name} uses"
                    return f"{shared} within one record of {min(both)}"
    return None


def _shared_output(sub: SubTopology, ancestors: dict[int, set[str]]) -> str | None:
    outputs: dict[str, list[Node]] = defaultdict(list)
    for node in sub.nodes:
        if isinstance(node, SinkNode):
            names = [node.topic.name] if node.topic is not None else sorted(node.topics or {})
            for name in names:
                outputs[name].append(node)
    for name, writers in outputs.items():
        if _shared(ancestors[id(node)] for node in writers):
            return f"{' and '.join(node.name for node in writers)} write the topic {name}"
    return None


def _shared(groups: Iterable[set[str]]) -> str | None:
    seen: set[str] = set()
    for group in groups:
        if seen & group:
            return min(seen & group)
        seen |= group
    return None
