"""Where records of several topics meet by key, so that the topics need equal partition counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from streams.errors import TopologyError
from streams.graph.definitions import TopicDef
from streams.graph.nodes import (
    AgentNode,
    AggregateNode,
    BufferedTableJoinNode,
    DeduplicateNode,
    ForeignKeyJoinNode,
    Node,
    ProcessNode,
    StreamJoinNode,
    SubscriptionNode,
    TableJoinNode,
    TableTableJoinNode,
    TableTransformValuesNode,
)

if TYPE_CHECKING:
    from streams.graph.plan import SubTopology

_MEETING = (
    *(StreamJoinNode, TableJoinNode, BufferedTableJoinNode, AggregateNode, AgentNode),
    *(ProcessNode, TableTransformValuesNode, DeduplicateNode),
    *(TableTableJoinNode, SubscriptionNode, ForeignKeyJoinNode),
)
"""Steps in which records of several topics meet by key."""


class Meeting(NamedTuple):
    """A step in which records meet by key, and the topics that they come from."""

    node: Node
    topics: list[TopicDef]


def meetings(sub: SubTopology) -> list[Meeting]:
    """The joins, aggregations and shared stores whose records come from several topics."""
    above = sub.sources_above()
    topic_of = {source.topic.name: source.topic for source in sub.sources}
    found: list[Meeting] = []
    for node in sub.nodes:
        if isinstance(node, _MEETING):
            users = [other for other in sub.nodes if set(node.stores) & set(other.stores)]
            group: set[str] = set().union(*(above[id(user)] for user in users))
            found.append(Meeting(node, [topic_of[name] for name in sorted(group)]))
    return [meeting for meeting in found if len(meeting.topics) > 1]


def co_partitioned(sub: SubTopology) -> list[list[TopicDef]]:
    """Groups of topics whose partition counts must be equal: those that meet in a join, an aggregation or a shared
    store.
    """
    return [meeting.topics for meeting in meetings(sub)]


def check_counts(meeting: Meeting, counts: dict[str, int]) -> None:
    """Raises TopologyError when topics that meet differ in their partitions; `counts` has those that are known."""
    if len(set(counts.values())) > 1:
        where = {topic.name: topic.where for topic in meeting.topics}
        listed = ", ".join(f"{name} has {count} ({where[name]})" for name, count in counts.items())
        raise TopologyError(
            f"{meeting.node.name} at {meeting.node.where}: topics whose records meet by key need equal partition "
            f"counts: {listed}. Put .repartition(partitions=...) before they meet, or make them with as many: "
            "app.topic(..., partitions=...), for an agent's own topic too."
        )
