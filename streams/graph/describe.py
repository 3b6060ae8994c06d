"""A plan as text and as JSON.

The text is what `Topology#describe` of Kafka Streams prints, line for line (`InternalTopologyBuilder`'s
`TopologyDescription`), so that viewers made for it can read it: steps by the size of what hangs on them, then by name.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import msgspec

from streams.graph.nodes import Node, PatternNode, RepartitionNode, SinkNode, SourceNode, TableSourceNode
from streams.graph.plan import Plan, SubTopology


class Step(NamedTuple):
    """A node as all pictures of a plan need it."""

    name: str
    kind: str
    reads: list[str]
    writes: list[str]
    stores: list[str]
    parents: list[str]
    children: list[str]
    where: str
    chosen: str = ""
    """The function that names the topic of each record, where one does."""


def steps(sub: SubTopology) -> list[Step]:
    """The steps of a sub-topology, parents first."""
    return [
        Step(
            node.name,
            node.kind,
            _read(node),
            written(node),
            [store.name for store in node.stores],
            [parent.name for parent in node.parents],
            [child.name for child, _ in sub.children(node)],
            node.where,
            _chosen(node),
        )
        for node in sub.nodes
    ]


def _read(node: Node) -> list[str]:
    """The topic that a step reads; of a pattern for which no topics are known yet, the pattern."""
    if isinstance(node, PatternNode) and not node.parents:
        return [node.pattern]
    return [node.topic.name] if isinstance(node, SourceNode) else []


def written(node: Node) -> list[str]:
    """The topics that a step writes; none where a function names them."""
    if isinstance(node, RepartitionNode | SinkNode) and node.topic is not None:
        return [node.topic.name]
    return []


def _chosen(node: Node) -> str:
    return (node.choose.name or "<lambda>") if isinstance(node, SinkNode) and node.choose is not None else ""


def text(plan: Plan) -> str:
    """As Kafka Streams prints it, its empty lines included."""
    lines = ["Topologies:"]
    for number, sub in enumerate(plan.subtopologies):
        lines.append(f"   Sub-topology: {number}")
        ordered = _as_kafka_orders(steps(sub))
        place = {step.name: at for at, step in enumerate(ordered)}
        for step in ordered:
            lines.append(f"    {_heading(step)}")
            if not (step.writes or step.chosen):
                lines.append(f"      --> {_names(step.children, place)}")
            if not step.reads:
                lines.append(f"      <-- {_names(step.parents, place)}")
        lines.append("")
    for number, node in enumerate(plan.globals, len(plan.subtopologies)):
        lines += _global_store(number, node)
    return "\n".join(lines) + "\n"


def _global_store(number: int, node: TableSourceNode) -> list[str]:
    (source,) = node.parents
    return [
        f"   Sub-topology: {number} for global store (will not generate tasks)",
        f"    Source: {source.name} (topics: [{node.store.changelog}])",
        f"      --> {node.name}",
        f"    Processor: {node.name} (stores: [{node.store.name}])",
        "      --> none",
        f"      <-- {source.name}",
    ]


def _as_kafka_orders(found: list[Step]) -> list[Step]:
    children = {step.name: step.children for step in found}

    @cache
    def size(name: str) -> int:
        return 1 + sum(size(child) for child in children[name])

    return sorted(found, key=lambda step: (-size(step.name), step.name))


def _names(names: list[str], place: dict[str, int]) -> str:
    return ", ".join(sorted(set(names), key=place.__getitem__)) or "none"


def _heading(step: Step) -> str:
    if step.reads:
        topics = step.reads[0] if step.kind == "pattern" else f"[{', '.join(step.reads)}]"
        return f"Source: {step.name} (topics: {topics})"
    if step.chosen:
        return f"Sink: {step.name} (extractor class: {step.chosen})"
    if step.writes:
        return f"Sink: {step.name} (topic: {', '.join(step.writes)})"
    return f"Processor: {step.name} (stores: [{', '.join(sorted(step.stores))}])"


def as_json(plan: Plan) -> str:
    """Every step with its names, one object for the app."""
    subs = [{"id": sub.id, "steps": [step._asdict() for step in steps(sub)]} for sub in plan.subtopologies]
    tables = [{"store": node.store.name, "topic": node.store.changelog, "where": node.where} for node in plan.globals]
    encoded = msgspec.json.encode({"app_id": plan.app_id, "sub_topologies": subs, "global_tables": tables})
    return msgspec.json.format(encoded, indent=2).decode()
