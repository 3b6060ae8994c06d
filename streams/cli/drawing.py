"""Four pictures of one plan: Kafka's text, Mermaid, DOT, JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from streams.graph.nodes import Node, RepartitionNode, SinkNode, SourceNode
from streams.graph.plan import Plan, SubTopology


class Step(NamedTuple):
    """A node as all the pictures need it."""

    name: str
    kind: str
    reads: list[str]
    writes: list[str]
    stores: list[str]
    parents: list[str]
    children: list[str]
    where: str


def steps(sub: SubTopology) -> list[Step]:
    """The steps of a sub-topology, parents first."""
    return [
        Step(
            node.name,
            node.kind,
            [node.topic.name] if isinstance(node, SourceNode) else [],
            written(node),
            [store.name for store in node.stores],
            [parent.name for parent in node.parents],
            [child.name for child, _ in sub.children(node)],
            node.where,
        )
        for node in sub.nodes
    ]


def written(node: Node) -> list[str]:
    if isinstance(node, RepartitionNode):
        return [node.topic.name]
    if isinstance(node, SinkNode):
        return [node.topic.name] if node.topic is not None else sorted(node.topics or ["chosen by a function"])
    return []


def text(plan: Plan) -> str:
    """As `Topology#describe` of Kafka Streams prints it, which viewers of that text can read."""
    lines = ["Topologies:"]
    for number, sub in enumerate(plan.subtopologies):
        lines.append(f"   Sub-topology: {number}")
        for step in steps(sub):
            lines.append(f"    {heading(step)}")
            if not step.writes:
                lines.append(f"      --> {', '.join(step.children) or 'none'}")
            if not step.reads:
                lines.append(f"      <-- {', '.join(step.parents)}")
    return "\n".join(lines)


def heading(step: Step) -> str:
    if step.reads:
        return f"Source: {step.name} (topics: [{', '.join(step.reads)}])"
    if step.writes:
        return f"Sink: {step.name} (topic: {', '.join(step.writes)})"
    return f"Processor: {step.name} (stores: [{', '.join(step.stores)}])"


class Edges(NamedTuple):
    """The plan as one flow over all sub-topologies: topics and stores are places, steps are connected to them."""

    topics: list[str]
    stores: list[str]
    arrows: list[tuple[str, str]]


def edges(plan: Plan) -> Edges:
    topics, stores, arrows = {}, {}, []
    for step in (step for sub in plan.subtopologies for step in steps(sub)):
        topics.update(dict.fromkeys([*step.reads, *step.writes]))
        stores.update(dict.fromkeys(step.stores))
        arrows += [(f"topic {name}", step.name) for name in step.reads]
        arrows += [(parent, step.name) for parent in step.parents]
        arrows += [(step.name, f"topic {name}") for name in step.writes]
        arrows += [(step.name, f"store {name}") for name in step.stores]
    return Edges(list(topics), list(stores), arrows)


def identifiers(plan: Plan) -> dict[str, str]:
    """A short identifier for each place and step: names may hold characters that Mermaid and DOT do not take."""
    flow = edges(plan)
    names = [f"topic {name}" for name in flow.topics] + [f"store {name}" for name in flow.stores]
    names += [step.name for sub in plan.subtopologies for step in steps(sub)]
    return {name: f"n{number}" for number, name in enumerate(names)}


def mermaid(plan: Plan) -> str:
    """A flowchart that Git hosts draw: topics are round, stores are cylinders, a frame around each sub-topology."""
    flow, ids = edges(plan), identifiers(plan)
    lines = ["flowchart LR"]
    lines += [f'  {ids[f"topic {name}"]}(["{name}"])' for name in flow.topics]
    lines += [f'  {ids[f"store {name}"]}[("{name}")]' for name in flow.stores]
    for number, sub in enumerate(plan.subtopologies):
        lines.append(f'  subgraph s{number} ["sub-topology {number}"]')
        lines += [f'    {ids[step.name]}["{step.kind}: {step.name}"]' for step in steps(sub)]
        lines.append("  end")
    return "\n".join([*lines, *(f"  {ids[a]} --> {ids[b]}" for a, b in flow.arrows)])


def dot(plan: Plan) -> str:
    """For Graphviz: `streams topology app:app --format dot | dot -Tsvg`."""
    flow, ids = edges(plan), identifiers(plan)
    lines = ["digraph topology {", "  rankdir=LR; node [shape=box];"]
    lines += [f'  {ids[f"topic {name}"]} [label="{name}", shape=oval];' for name in flow.topics]
    lines += [f'  {ids[f"store {name}"]} [label="{name}", shape=cylinder];' for name in flow.stores]
    for number, sub in enumerate(plan.subtopologies):
        lines.append(f'  subgraph cluster_{number} {{ label="sub-topology {number}";')
        lines += [f'    {ids[step.name]} [label="{step.kind}: {step.name}"];' for step in steps(sub)]
        lines.append("  }")
    return "\n".join([*lines, *(f"  {ids[a]} -> {ids[b]};" for a, b in flow.arrows), "}"])


def as_json(plan: Plan) -> str:
    """Every step with its names, one object for the app."""
    subs = [{"id": sub.id, "steps": [step._asdict() for step in steps(sub)]} for sub in plan.subtopologies]
    encoded = msgspec.json.encode({"app_id": plan.app_id, "sub_topologies": subs})
    return msgspec.json.format(encoded, indent=2).decode()


FORMATS: dict[str, Callable[[Plan], str]] = {"text": text, "mermaid": mermaid, "dot": dot, "json": as_json}
