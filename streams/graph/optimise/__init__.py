"""Rewriting a graph into one that gives the same records for less work: one small rule, one file.

Rules work on a copy of the graph, in the order of `RULES`. Each says what it does to names and to records that are on
their way when it is switched on or off, as those outlive the code.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from streams.errors import ConfigError, did_you_mean
from streams.graph.optimise.filters_first import filters_first
from streams.graph.optimise.merge_repartitions import merge_repartitions
from streams.graph.optimise.project_fields import project_fields
from streams.graph.optimise.reuse_source_topics import reuse_source_topics
from streams.graph.plan import Graph

Rule = Callable[[Graph], None]

RULES: Final[dict[str, Rule]] = {
    "reuse_source_topics": reuse_source_topics,
    "merge_repartitions": merge_repartitions,
    "filters_first": filters_first,
    "project_fields": project_fields,
}

KAFKA_NAMES: Final = {
    "reuse.ktable.source.topics": "reuse_source_topics",
    "merge.repartition.topics": "merge_repartitions",
}
"""What Kafka Streams calls a rule in `topology.optimization`."""


def rules_from_text(text: str) -> frozenset[str]:
    """The rules that a setting names: `all`, `none`, or names with commas, ours or Kafka's.

    Raises ConfigError for a name that is no rule's.

    >>> sorted(rules_from_text("reuse.ktable.source.topics, filters_first"))
    ['filters_first', 'reuse_source_topics']
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return frozenset(RULES)
    if names == ["none"]:
        return frozenset()
    found = [KAFKA_NAMES.get(name, name) for name in names]
    for name in found:
        if name not in RULES:
            known = ["all", "none", *RULES, *KAFKA_NAMES]
            raise ConfigError(
                f"{name!r} is no rule of the optimiser.{did_you_mean(name, known)} Known: {', '.join(known)}."
            )
    return frozenset(found)


def optimise(graph: Graph, rules: Collection[str]) -> Graph:
    """The graph after these rules, of other nodes than the one that was given. Stores are the same: which topic is a
    table's changelog is set in them.

    >>> optimise(Graph(), ["filters_first"]).nodes
    []
    """
    made = graph.copy()
    for name, rule in RULES.items():
        if name in rules:
            rule(made)
    return made
