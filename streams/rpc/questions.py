"""From the value that an agent is asked with to a record for its topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.batch import Headers
from streams.durations import Duration, to_ms
from streams.errors import AskError, TopologyError
from streams.expressions import Expression
from streams.graph.definitions import TopicDef
from streams.graph.functions import UserFunction
from streams.graph.nodes import AgentNode, RepartitionNode, SelectKeyNode, SourceNode
from streams.rpc.asker import Question
from streams.serde import key_serde_for, serde_for

if TYPE_CHECKING:
    from streams.agent import Agent
    from streams.config import Settings
    from streams.graph.plan import Graph


def question(
    agent: Agent[Any, Any], value: Any, key: Any, partition: int | None, timestamp: int, headers: Headers
) -> Question:
    """The record that asks. Raises TopologyError for an agent that never yields, EncodeError for a key or value that is
    not of its topic's type.
    """
    if not agent.yields:
        raise TopologyError(
            f"agent {agent.name!r} ({agent.where}) yields nothing, so it has no answers: let it `yield` for each "
            "record, or use `cast`"
        )
    topic, key_of = address(agent)
    if key_of is not None and partition is None:
        key = _key(agent, key_of, key, value)
    return Question(
        agent.name,
        topic.name,
        None if key is None else key_serde_for(topic.key_type).encode(key),
        None if value is None else serde_for(topic.value_type).encode_row(value, headers),
        timestamp,
        tuple(headers),
        partition,
        serde_for(agent.reply_type),
    )


def seconds(timeout: Duration | None, settings: Settings) -> float:
    """How long an answer is waited for."""
    return (settings.ask_timeout_ms if timeout is None else to_ms(timeout, "timeout")) / 1000


def address(agent: Agent[Any, Any]) -> tuple[TopicDef, Expression | UserFunction | None]:
    """Where requests go. Those of an agent that groups its stream go straight behind the repartition, by the key that
    it groups by: to move them there would take a commit of its worker, and who asks may be what that waits for.
    """
    topics = agent.app.plan().topics
    graph = agent.app.builder.graph
    node = next(node for node in graph.nodes if isinstance(node, AgentNode) and node.agent is agent)
    source = node.parents[0]
    if len(node.parents) == 1 and isinstance(source, SourceNode) and source.topic.internal:
        select = _moved_by(graph, source.topic)
        if select is not None and source.topic.name in topics:
            return source.topic, select.function
    return agent.topic.definition, None


def _moved_by(graph: Graph, topic: TopicDef) -> SelectKeyNode | None:
    """The step that gives records the key by which they are moved."""
    parents = [node.parents[0] for node in graph.nodes if isinstance(node, RepartitionNode) and node.topic is topic]
    return parents[0] if len(parents) == 1 and isinstance(parents[0], SelectKeyNode) else None


def _key(agent: Agent[Any, Any], key_of: Expression | UserFunction, key: Any, value: Any) -> Any:
    if isinstance(key_of, Expression):
        found = key_of.row_function(value)
    elif key_of.wants_ctx:
        raise TopologyError(
            f"agent {agent.name!r} groups by {key_of!r}, which wants the context of a record: say partition= in `ask`"
        )
    else:
        found = key_of.call(*(key, value)[2 - key_of.arity :])
    if found is None:
        raise AskError(f"agent {agent.name!r} groups by {key_of!r}, which gives no key for {value!r}")
    return found
