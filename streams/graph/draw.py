"""A plan as a picture: Mermaid, and DOT for Graphviz."""

from __future__ import annotations

from typing import NamedTuple

from streams.graph.describe import steps
from streams.graph.plan import Plan


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
