"""From steps to sub-topologies: what runs together in one task.

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
from streams.graph.fields_read import fields_read_behind
from streams.graph.keyless import keep_keyless
from streams.graph.meetings import check_counts, meetings
from streams.graph.nodes import Node, PatternNode, ProcessNode, RepartitionNode, SinkNode, SourceNode, TableSourceNode
from streams.graph.row_reasons import row_reason


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
        if topic.partitions is not None and topic.partitions < 1:
            raise TopologyError(
                f"topic {topic.name!r} at {topic.where}: partitions={topic.partitions}; a topic has one or more"
            )
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

    def behind(self, node: Node) -> list[Node]:
        """The steps that a step feeds, each once."""
        return [other for other in self.nodes if any(parent is node for parent in other.parents)]

    def writers(self, topic: TopicDef) -> list[RepartitionNode]:
        """The steps that write a repartition topic."""
        return [node for node in self.nodes if isinstance(node, RepartitionNode) and node.topic is topic]

    def reader(self, topic: TopicDef) -> SourceNode:
        """The step that reads a repartition topic."""
        return next(node for node in self.nodes if isinstance(node, SourceNode) and node.topic is topic)

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

    def task_id(self, partition: int) -> str:
        """The name of the task that runs the steps on a partition."""
        return f"{self.id}-{partition}"

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

    def sources_above(self, *, called: bool = False) -> dict[int, set[str]]:
        """By the id of each step, the topics whose records get to it; with `called` also those that move the time by
        which it is called.
        """
        above: dict[int, set[str]] = {}
        everything = {source.topic.name for source in self.sources}
        for node in self.nodes:
            own = {node.topic.name} if isinstance(node, SourceNode) else set()
            if called and isinstance(node, ProcessNode):
                own = everything
            above[id(node)] = own.union(*(above[id(parent)] for parent in node.parents))
        return above

    @property
    def passing_on(self) -> frozenset[str]:
        """The topics whose records may get to a repartition; those of a table that is only looked up do not."""
        above = self.sources_above()
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
    sub.row_reason = row_reason(sub)
    for source in sub.sources if sub.row_reason is None else ():
        read = fields_read_behind(source, lambda node: [child for child, _ in sub.children(node)], written=True)
        source.fields_read = None if read is None else frozenset(read)
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
