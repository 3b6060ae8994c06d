"""`@app.agent`: a coroutine of the user's over a stream, as a part of the topology, and as a service."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar, overload

from streams.errors import ConfigError, StreamsError, TopologyError
from streams.expressions import Expression
from streams.graph.definitions import TopicDef, check_name
from streams.graph.functions import caller, name_of, where
from streams.graph.nodes import AgentNode, Node, RepartitionNode, SelectKeyNode, SourceNode
from streams.policies import Policy
from streams.rpc.calls import Calls

if TYPE_CHECKING:
    from streams.agent_stream import Stream as AgentStream
    from streams.app import App
    from streams.dsl.builder import Builder
    from streams.dsl.stream import Stream
    from streams.table import Table
    from streams.topic import Topic

Grouping = tuple[Any, str | None]
"""The key of a `group_by` (a field or a function), and its name."""


V = TypeVar("V")
R = TypeVar("R")

_ROW_VIEWS = {"items", "events", "enumerate", "take"}


class AgentDecorator(Protocol):
    """What `@app.agent(...)` is: of a function over a stream of `V` that yields `R` it makes an agent of both."""

    @overload
    def __call__(self, function: Callable[[AgentStream[V]], AsyncIterator[R]]) -> Agent[V, R]: ...

    @overload
    def __call__(self, function: Callable[[AgentStream[V]], Awaitable[None]]) -> Agent[V, NoReturn]: ...

    @overload
    def __call__(self, function: Callable[..., Any]) -> Agent[Any, Any]: ...

    def __call__(self, function: Callable[..., Any]) -> Agent[Any, Any]: ...


class Agent(Calls[V, R], Generic[V, R]):
    """What `@app.agent` makes of a function: calling it calls the function, `send` and `cast` write to its topic, `ask`
    and the like ask it and wait for what it yields (`streams.rpc.calls.Calls`).

    `topic` is a topic, several, or None for one of the agent's own, `<app id>-<name>`. `sink` is a topic, another
    agent, a function of the yielded value, plain or async, or several of them. `tables` are the tables it uses, where
    they cannot be found by name. With `concurrency` the function runs that many times in each task; records are dealt
    out by key, and stay in order for each key. `reply_type` is the type of its answers; without it, that which its
    function is annotated with (`AsyncIterator[Price]`), or that of its sinks.

    >>> from streams.app import App
    >>> app = App("flights")
    >>> late = app.Table("late", key_type=str, value_type=int, default=int)
    >>> @app.agent(app.topic("flights"))
    ... async def count(stream):
    ...     async for carrier in stream:
    ...         late[carrier] += 1
    >>> count.name, count.topic, count.tables
    ('count', <Topic flights>, [<Table late>])
    """

    def __init__(
        self,
        app: App,
        function: Callable[..., Any],
        *,
        topic: Topic | str | Iterable[Topic | str] | None = None,
        name: str | None = None,
        sink: Any = (),
        group_by: Any = None,
        tables: Iterable[Table[Any, Any]] | None = None,
        concurrency: int = 1,
        on_error: Policy | None = None,
        reply_type: Any = None,
    ) -> None:
        self.app = app
        self.function = function
        self.where = where(function)
        self.name = check_name(name or name_of(function), "agent")
        self.sinks = list(sink) if isinstance(sink, Iterable) and not isinstance(sink, str) else [sink]
        self.concurrency = concurrency
        self.on_error = on_error
        self.topics = _topics(app, topic, f"{app.id}-{self.name}")
        self._group_by = group_by
        self._tables = list(tables or ())
        self._grouping: Grouping | None = None
        self._reply_type = reply_type
        _check_function(self)

    def __repr__(self) -> str:
        return f"<Agent {self.name} ({self.where})>"

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.function(*arguments, **named)

    @property
    def topic(self) -> Topic:
        """The (first) topic that the agent reads, and that `send` writes to."""
        return self.topics[0]

    async def send(
        self,
        *,
        key: Any = None,
        value: Any = None,
        reply_to: Any = None,
        correlation_id: str | None = None,
        headers: Iterable[tuple[str, bytes]] = (),
        **options: Any,
    ) -> Any:
        """Writes a record to the agent's topic, in the worker's transaction; `options` are those of `app.send`:
        `timestamp=`, `headers=`. With `reply_to`, a topic or agent, what it yields first for the record goes there,
        with the `correlation_id` in the header "kafka_correlationId"; but not in the transaction.
        """
        given = list(headers)
        if reply_to is not None:
            from streams.rpc.messages import Request, headers_of

            topic = reply_to.topic if isinstance(reply_to, Agent) else reply_to
            name = topic if isinstance(topic, str) else topic.name
            asks = Request(name, correlation_id.encode() if correlation_id is not None else os.urandom(16))
            given += [(header, data or b"") for header, data in headers_of(asks)]
        if given:
            options["headers"] = given
        return await self.app.send(self.topic, key=key, value=value, **options)

    async def cast(self, value: V | None = None, *, key: Any = None, **options: Any) -> Any:
        """`send`, value first."""
        return await self.send(key=key, value=value, **options)

    def ask(
        self,
        value: V,
        *,
        key: Any = None,
        partition: int | None = None,
        timestamp: int | None = None,
        headers: Any = (),
        timeout: Any = None,
    ) -> asyncio.Future[R]:
        """See `Calls.ask`; from other agents, timers and tasks of the app. Raises StreamsError when no worker runs it
        in this process: there `client.agent(name)` asks.
        """
        from streams.rpc.questions import question, seconds
        from streams.table import running

        worker = self.app.worker
        if worker is None or worker.rpc is None:
            raise StreamsError(
                f"ask of agent {self.name!r}: no worker runs {self.app.id!r} in this process. Outside a worker use "
                f"`async with app.client() as client: await client.agent({self.name!r}).ask(...)`."
            )
        time = worker.now_ms() if timestamp is None else timestamp
        asked = question(self, value, key, partition, time, headers)
        agent_at_work = running.get(None)
        task = None if agent_at_work is None else agent_at_work.task
        return worker.rpc().ask(asked, seconds(timeout, self.app.settings), task)

    # -- what the plan needs

    @property
    def tables(self) -> list[Table[Any, Any]]:
        """The tables it uses: those given, and those found in the function."""
        from streams.discovery import find_tables

        found = {table.name: table for table in (*self._tables, *find_tables(self.function))}
        return list(found.values())

    @property
    def functions(self) -> list[Callable[[Any], Any]]:
        """The sinks that are functions."""
        return [sink for sink in self.sinks if callable(sink) and not isinstance(sink, Agent)]

    @property
    def output_type(self) -> Any:
        """The type of what it yields, as far as its topics say."""
        types = {topic.value_type for topic in self._sink_topics() if isinstance(topic, TopicDef)}
        return types.pop() if len(types) == 1 else None

    @property
    def reply_type(self) -> Any:
        """The type of its answers; None for anything."""
        if self._reply_type is None:
            from streams.discovery import yielded_type

            self._reply_type = yielded_type(self.function)
        return self.output_type if self._reply_type is None else self._reply_type

    @property
    def yields(self) -> bool:
        """Whether there are answers at all."""
        from streams.discovery import plain_function

        return inspect.isasyncgenfunction(plain_function(self.function))

    def _columns(self) -> frozenset[str] | None:
        """The fields of its records, if the function takes whole batches and nothing else. A function that asks them
        for rows nevertheless gets them: only decoded later.
        """
        from streams.discovery import asked_of_parameters, names_used

        types = {topic.definition.value_type for topic in self.topics}
        if "batches" not in names_used(self.function) or len(types) > 1:
            return None
        if not asked_of_parameters(self.function).isdisjoint(_ROW_VIEWS):
            return None
        return frozenset(getattr(types.pop(), "__struct_fields__", ())) or None

    def _sink_topics(self) -> list[TopicDef | str]:
        topics = [sink.topic if isinstance(sink, Agent) else sink for sink in self.sinks if sink not in self.functions]
        return [topic if isinstance(topic, str) else topic.definition for topic in topics]

    def grouping(self) -> Grouping | None:
        """The key by which records are moved before the agent gets them, from `group_by=` or the function's body.

        Raises TopologyError when both say something, or when the body's cannot be found out.
        """
        from streams.discovery import names_used

        if self._group_by is not None:
            return self._group_by, None
        if self._grouping is None and "group_by" in names_used(self.function):
            self._grouping = _grouping_in_body(self)
        return self._grouping

    def on_group_by(self, key: Any, name: str | None) -> None:
        """The running body calls `stream.group_by`: it must be what the plan has. Raises TopologyError otherwise."""
        planned = self.grouping()
        if planned is None or not _same_key(planned[0], key):
            raise TopologyError(
                f"agent {self.name!r} ({self.where}): group_by({key!r}) is not in the plan, for which the function is "
                "started up to its first iteration. Group before that, always by one key; or say group_by= in "
                "@app.agent."
            )

    def build(self, builder: Builder) -> None:
        """Adds the agent's steps to the graph."""
        from streams.dsl.stream import Stream

        streams = [topic.stream() for topic in self.topics]
        grouping = self.grouping()
        if grouping is not None:
            merged = streams[0].merge(*streams[1:]) if len(streams) > 1 else streams[0]
            streams = [self._grouped(builder, merged, *grouping)]
        node = AgentNode(
            name=self.name,
            parents=tuple(stream.node for stream in streams),
            where=self.where,
            on_error=self.on_error,
            agent=self,
            function=self.function,
            tables=tuple(table.definition for table in self.tables),
            written=tuple(table.definition for table in self.tables if table.written_by_agents),
            concurrency=self.concurrency,
            columns=self._columns(),
        )
        builder.graph.add_node(node)
        key_types = {stream.key_type for stream in streams}
        key_type = key_types.pop() if len(key_types) == 1 else None
        made = Stream(builder, node, label=self.name, key_type=key_type, value_type=self.output_type)
        for sink in self.sinks:
            if sink not in self.functions:
                made.to(sink.topic if isinstance(sink, Agent) else sink)

    def _grouped(self, builder: Builder, stream: Stream, key: Any, name: str | None) -> Stream:
        """The stream by another key; agents that group the same stream in the same way share its topic."""
        source = _shared_source(builder.graph.nodes, stream.node, key, name)
        if source is not None:
            topic = source.topic
            from streams.dsl.stream import Stream

            return Stream(builder, source, label=topic.name, key_type=topic.key_type, value_type=topic.value_type)
        partitions = {table.partitions for table in self.tables if table.partitions is not None}
        if len(partitions) > 1:
            raise TopologyError(
                f"agent {self.name!r} ({self.where}): its tables have {' and '.join(map(str, sorted(partitions)))} "
                "partitions; tables of one agent lie beside each other, so give them one number"
            )
        return stream.select_key(key).repartition(name=name, partitions=partitions.pop() if partitions else None)


def _topics(app: App, given: Any, own: str) -> list[Topic]:
    if given is None:
        return [app.topic(own)]
    if hasattr(given, "written_by_agents"):
        raise TopologyError(
            f"agent at {caller()}: {given.name!r} is a table, and an agent iterates over a topic; it uses tables in "
            "its body"
        )
    several = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    for one in several:
        if not (isinstance(one, str) or hasattr(one, "definition")):
            raise TopologyError(
                f"agent at {caller()}: give a topic (app.topic(...)), its name, or a list of them, not "
                f"{type(one).__name__} {getattr(one, 'name', one)!r}; what a pipeline makes gets to an agent through a "
                "topic: .to_stream().to(topic) of a table, .to(topic) of a stream"
            )
    if not several:
        raise ConfigError("an agent needs a topic: the list of topics is empty")
    return list(dict.fromkeys(map(app.topic_of, several)))


def _check_function(agent: Agent[Any, Any]) -> None:
    from streams.discovery import plain_function

    plain = plain_function(agent.function)
    if plain is None or not (inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain)):
        raise TopologyError(
            f"agent {agent.name!r} ({agent.where}): give an `async def` function that takes the stream and iterates "
            "over it with `async for`."
        )
    if agent.concurrency < 1:
        raise ConfigError(f"agent {agent.name!r}: concurrency={agent.concurrency} must be 1 or more")


def _same_key(one: Any, other: Any) -> bool:
    if isinstance(one, Expression) or isinstance(other, Expression):
        return repr(one) == repr(other)
    # A lambda in the body is a new function each time: what makes it the same one is its code.
    return one is other or getattr(one, "__code__", one) == getattr(other, "__code__", other)


def _shared_source(nodes: list[Node], parent: Node, key: Any, name: str | None) -> SourceNode | None:
    """The source behind a repartition of the same stream by the same key, if there is one; a name asks for its own."""
    for select in nodes:
        if name is None and isinstance(select, SelectKeyNode) and select.parents == (parent,):
            function = select.function
            if _same_key(function if isinstance(function, Expression) else function.call, key):
                topics = [n.topic for n in nodes if isinstance(n, RepartitionNode) and n.parents == (select,)]
                return next((n for n in nodes if isinstance(n, SourceNode) and n.topic in topics), None)
    return None


def _grouping_in_body(agent: Agent[Any, Any]) -> Grouping | None:
    """Starts the function with a stream that only listens, up to its first iteration.

    Raises TopologyError when the body groups twice, or does not come to its first iteration without an event loop.
    """
    from streams.agent_stream import Stream
    from streams.planning_feed import PlanningFeed, start

    found: list[Grouping] = []
    feed = PlanningFeed()
    stream: Stream[Any] = Stream(feed, lambda key, name: found.append((key, name)))
    try:
        copy_context().run(start, agent.function, stream, feed)
    except Exception as error:
        raise TopologyError(
            f"agent {agent.name!r} ({agent.where}) calls group_by, so it is started up to its first iteration when the "
            f"app is planned; it failed before: {type(error).__name__}: {error}. Say group_by= in @app.agent instead."
        ) from error
    if len(found) > 1:
        raise TopologyError(f"agent {agent.name!r} ({agent.where}) calls group_by {len(found)} times; once is enough")
    return found[0] if found else None
