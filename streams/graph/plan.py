"""From steps to sub-topologies: what runs together in one task, and what may run a batch at a time.

Steps joined by an edge or by a store run together; topics are the only borders. A sub-topology runs once for each
partition of the topics it reads: that is a task. Its name is its first source topic in alphabetical order, never a
counter, so adding a step elsewhere moves no state.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from copy import copy
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from streams.errors import TopologyError
from streams.graph.definitions import StoreDef, TopicDef
from streams.graph.keyless import keep_keyless
from streams.graph.nodes import (
    AgentNode,
    AggregateNode,
    BranchNode,
    BufferedTableJoinNode,
    DeduplicateNode,
    FilterNode,
    FlatMapNode,
    FlatMapValuesNode,
    ForeignKeyJoinNode,
    MapNode,
    MapValuesNode,
    MergeNode,
    Node,
    PatternNode,
    PeekNode,
    ProcessNode,
    RepartitionNode,
    SelectKeyNode,
    SinkNode,
    SourceNode,
    SplitNode,
    StreamJoinNode,
    SubscriptionNode,
    TableJoinNode,
    TableSourceNode,
    TableTableJoinNode,
    TableTransformValuesNode,
)

_ONE_BY_ONE = (
    *(SourceNode, FilterNode, MapNode, MapValuesNode, FlatMapNode, FlatMapValuesNode, SelectKeyNode),
    *(PeekNode, MergeNode, SplitNode, BranchNode, DeduplicateNode, TableJoinNode),
)
"""Steps that answer each record at once, and only then."""

_MEETING = (
    *(StreamJoinNode, TableJoinNode, BufferedTableJoinNode, AggregateNode, AgentNode),
    *(ProcessNode, TableTransformValuesNode, DeduplicateNode),
    *(TableTableJoinNode, SubscriptionNode, ForeignKeyJoinNode),
)
"""Steps in which records of several topics meet by key."""


@dataclass(slots=True)
class Graph:
    """What an app has declared so far, in the order it was declared."""

    nodes: list[Node] = field(default_factory=list)
    topics: dict[str, TopicDef] = field(default_factory=dict)
    stores: dict[str, StoreDef] = field(default_factory=dict)
    globals: list[TableSourceNode] = field(default_factory=list)
    """The steps that keep global tables: they belong to no sub-topology."""

    def copy(self) -> Graph:
        """The same graph of other nodes, to be changed; topics and stores are shared."""
        made: dict[int, Node] = {}
        for node in self.nodes:
            made[id(node)] = twin = copy(node)
            twin.parents = tuple(made[id(parent)] for parent in node.parents)
            for field_ in fields(node):  # a join names its table besides
                other = getattr(node, field_.name)
                if isinstance(other, Node):
                    setattr(twin, field_.name, made[id(other)])
        return Graph(list(made.values()), dict(self.topics), dict(self.stores), list(self.globals))

    def add_node(self, node: Node) -> None:
        """Raises TopologyError if another step has the name."""
        for other in self.nodes:
            if other.name == node.name:
                raise TopologyError(
                    f"two steps are called {node.name!r}: {other.kind} at {other.where} and "
                    f"{node.kind} at {node.where}; give one of them another name="
                )
        self.nodes.append(node)

    def add_topic(self, topic: TopicDef) -> TopicDef:
        """Raises TopologyError if another topic has the name, unless it says the same."""
        known = self.topics.setdefault(topic.name, topic)
        what = ("key_type", "value_type", "partitions", "timestamp", "start")
        different = [name for name in what if getattr(known, name) != getattr(topic, name)]
        if different:
            do = "give one of them another name=" if topic.internal else "declare it once, and use that"
            raise TopologyError(
                f"topic {topic.name!r} is declared twice with different {', '.join(different)}: at {known.where} and "
                f"at {topic.where}; {do}"
            )
        return known

    def add_store(self, store: StoreDef) -> StoreDef:
        """Raises TopologyError if another store has the name."""
        known = self.stores.setdefault(store.name, store)
        if known is not store:
            raise TopologyError(
                f"two stores are called {store.name!r}: at {known.where} and at {store.where}; "
                "give one of them another name="
            )
        return store

    def add_global(self, node: TableSourceNode) -> None:
        """Raises TopologyError if the topic is a global table already, as Kafka Streams does."""
        for other in self.globals:
            if other.store.changelog == node.store.changelog:
                raise TopologyError(
                    f"topic {node.store.changelog!r} is a global table twice: {other.store.name!r} at {other.where} "
                    f"and {node.store.name!r} at {node.where}; use one of them for both"
                )
        self.add_store(node.store)
        self.globals.append(node)

    def source(self, topic: TopicDef, where: str) -> SourceNode:
        """The one source step of a topic, made when first asked for."""
        for node in self.nodes:
            if isinstance(node, SourceNode) and node.topic.name == topic.name:
                return node
        node = SourceNode(name=f"{topic.name}-source", topic=topic, where=where)
        self.add_node(node)
        return node


@dataclass(slots=True)
class SubTopology:
    """Steps that run in one task, parents before children. `row_reason` says why it must go one record at a time, if
    so.
    """

    id: str
    nodes: list[Node]
    row_reason: str | None = None

    @property
    def sources(self) -> list[SourceNode]:
        return [node for node in self.nodes if isinstance(node, SourceNode)]

    @property
    def stores(self) -> list[StoreDef]:
        return list({id(store): store for node in self.nodes for store in node.stores}.values())

    @property
    def shared_stores(self) -> frozenset[str]:
        """Names of the stores that more than one step uses."""
        users = Counter(store.name for node in self.nodes for store in node.stores)
        return frozenset(name for name, count in users.items() if count > 1)

    @property
    def repartitions(self) -> list[RepartitionNode]:
        return [node for node in self.nodes if isinstance(node, RepartitionNode)]

    @property
    def processes(self) -> list[ProcessNode]:
        """The steps that run a processor of the user's."""
        return [node for node in self.nodes if isinstance(node, ProcessNode)]

    @property
    def passing_on(self) -> frozenset[str]:
        """The topics whose records may get to a repartition; those of a table that is only looked up do not."""
        above = _sources_above(self)
        return frozenset().union(*(above[id(node)] for node in self.repartitions))

    def children(self, node: Node) -> list[tuple[Node, int]]:
        """The steps fed by `node`, in the order they were declared, each with the place of `node` among its parents;
        one that it feeds twice stands there twice.
        """
        return [(other, side) for other in self.nodes for side, parent in enumerate(other.parents) if parent is node]


class Circle(NamedTuple):
    """Names of the topics at which a circle leaves a sub-topology, and of those at which it closes there: they come
    from sub-topologies that stand behind it.
    """

    out: frozenset[str] = frozenset()
    back: frozenset[str] = frozenset()


NO_CIRCLE = Circle()


@dataclass(slots=True)
class Plan:
    """An app's topology, ready to be run, drawn or explained."""

    app_id: str
    subtopologies: list[SubTopology]
    topics: dict[str, TopicDef]
    stores: dict[str, StoreDef]
    globals: list[TableSourceNode] = field(default_factory=list)

    @property
    def patterns(self) -> bool:
        """Whether topics are chosen by a pattern."""
        return any(isinstance(node, PatternNode) for sub in self.subtopologies for node in sub.nodes)

    @property
    def produced(self) -> set[str]:
        """Names of the topics that the topology itself writes."""
        steps = (node for sub in self.subtopologies for node in sub.nodes)
        return {
            node.topic.name for node in steps if isinstance(node, SinkNode | RepartitionNode) and node.topic is not None
        }

    def readers(self, topic: TopicDef) -> list[SubTopology]:
        """The sub-topologies that have the topic among their sources."""
        return [sub for sub in self.subtopologies if any(source.topic is topic for source in sub.sources)]

    def circle(self, sub: SubTopology) -> Circle:
        """The repartition topics by which a sub-topology feeds itself, perhaps by way of others."""
        behind = self.subtopologies[self.subtopologies.index(sub) :]
        fed = [other for other in behind if self._reached(sub.repartitions, other)]
        back = {node.topic.name for other in fed for node in other.repartitions}
        out = {node.topic.name for node in sub.repartitions if self._reached([node], sub)}
        return Circle(frozenset(out), frozenset(back & {source.topic.name for source in sub.sources}))

    def _reached(self, written: list[RepartitionNode], sub: SubTopology) -> bool:
        """Whether records that are written there get to the sub-topology."""
        reached: list[SubTopology] = []
        while written:
            names = {node.topic.name for node in written}
            readers = [other for other in self.subtopologies if names & {source.topic.name for source in other.sources}]
            new = [other for other in readers if other not in reached]
            reached += new
            written = [node for other in new for node in other.repartitions]
        return sub in reached


def plan(graph: Graph, app_id: str) -> Plan:
    """Cut the graph at its topics.

    Raises TopologyError when stores are shared by steps that no source feeds, when topics that meet by key say that
    they have different numbers of partitions, and for a topic that is read both by tasks and as a global table.
    """
    _check_globals(graph)
    keep_keyless(graph.nodes)
    groups = _groups(graph.nodes)
    subtopologies = [_subtopology(nodes) for nodes in groups]
    subtopologies.sort(key=lambda sub: min(graph.nodes.index(node) for node in sub.nodes))
    for meeting in (meeting for sub in subtopologies for meeting in meetings(sub)):
        check_counts(meeting, {topic.name: topic.partitions for topic in meeting.topics if topic.partitions})
    return Plan(app_id, subtopologies, graph.topics, graph.stores, graph.globals)


def _check_globals(graph: Graph) -> None:
    """Two readers of one topic in one worker would each be at another place in it; Kafka Streams refuses it too."""
    read = {node.topic.name: node.where for node in graph.nodes if isinstance(node, SourceNode)}
    for node in graph.globals:
        topic = node.store.changelog
        if topic in read:
            raise TopologyError(
                f"topic {topic!r} is a global table at {node.where} and is read as a stream or table at {read[topic]}: "
                "take one of them; the changes of a global table are no stream"
            )


def _groups(nodes: list[Node]) -> list[list[Node]]:
    """Union-find over edges and shared stores."""
    leader: dict[int, int] = {index: index for index in range(len(nodes))}
    position = {id(node): index for index, node in enumerate(nodes)}

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    users: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for parent in node.parents:
            leader[find(index)] = find(position[id(parent)])
        for store in node.stores:
            leader[find(index)] = find(users.setdefault(store.name, index))
    found: dict[int, list[Node]] = defaultdict(list)
    for index, node in enumerate(nodes):
        found[find(index)].append(node)
    return list(found.values())


def _subtopology(nodes: list[Node]) -> SubTopology:
    ordered = _parents_first(nodes)
    # A table has its name from its own topic, whatever joins are put behind it.
    sources = sorted((node.topic.routed, node.topic.name) for node in ordered if isinstance(node, SourceNode))
    topics = [name for _, name in sources]
    # Topics come and go where a pattern chooses them; the name of what reads them stays.
    topics = sorted(node.name for node in ordered if isinstance(node, PatternNode)) or topics
    if not topics:
        steps = ", ".join(f"{node.name} ({node.where})" for node in nodes)
        raise TopologyError(f"no topic feeds these steps: {steps}")
    sub = SubTopology(topics[0], ordered)
    sub.row_reason = _row_reason(sub)
    return sub


def _parents_first(nodes: list[Node]) -> list[Node]:
    ordered: list[Node] = []
    seen: set[int] = set()

    def visit(node: Node) -> None:
        if id(node) not in seen:
            seen.add(id(node))
            for parent in node.parents:
                visit(parent)
            ordered.append(node)

    for node in nodes:
        visit(node)
    return ordered


def _row_reason(sub: SubTopology) -> str | None:
    """Why the sub-topology cannot take a batch at a time and still give what a record at a time gives; None if it
    can.
    """
    for store in sub.stores:
        if store.ttl_ms is not None:
            return f"the table {store.name} forgets keys by time (ttl), which each record moves on"
    reason = _turns(sub)
    if reason is not None:
        return reason
    ancestors = _sources_above(sub, called=True)
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


def _sources_above(sub: SubTopology, *, called: bool = False) -> dict[int, set[str]]:
    """The topics whose records get to each step; with `called` also those that move the time by which it is called."""
    above: dict[int, set[str]] = {}
    everything = {source.topic.name for source in sub.sources}
    for node in sub.nodes:
        own = {node.topic.name} if isinstance(node, SourceNode) else set()
        if called and isinstance(node, ProcessNode):
            own = everything
        above[id(node)] = own.union(*(above[id(parent)] for parent in node.parents))
    return above


def _shared(groups: object) -> str | None:
    seen: set[str] = set()
    for group in groups:  # type: ignore[attr-defined]
        if seen & group:
            return str(min(seen & group))
        seen |= group
    return None


class Meeting(NamedTuple):
    """A step in which records meet by key, and the topics that they come from."""

    node: Node
    topics: list[TopicDef]


def meetings(sub: SubTopology) -> list[Meeting]:
    """The joins, aggregations and shared stores whose records come from several topics."""
    above = _sources_above(sub)
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
            f"counts: {listed}. Put .repartition(partitions=...) before they meet."
        )
