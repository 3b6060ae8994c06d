"""`App`: what a program declares its topics, agents, tables, pipelines, sources and timers on. Building one needs no
broker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from streams.config import Settings, load_settings
from streams.dsl.builder import Builder
from streams.dsl.patterns import match_topics, stream_of_pattern
from streams.dsl.stream import Stream
from streams.durations import Duration
from streams.errors import TopologyError
from streams.graph import describe
from streams.graph.checks import check
from streams.graph.definitions import TopicDef, check_name
from streams.graph.functions import caller, name_of, speaking_for, where
from streams.graph.optimise import optimise
from streams.graph.plan import Plan, plan
from streams.location import Location, Owner, locate, this_worker
from streams.policies import DeadLetter, Policy, Retry
from streams.sources import Source
from streams.topic import TimestampRule, Topic, checked_rule, topic_config

if TYPE_CHECKING:
    from streams.agent import Agent, AgentDecorator
    from streams.client import Client
    from streams.operators.base import TaskContext
    from streams.operators.outputs import Outputs
    from streams.rpc.worker import WorkerRpc
    from streams.store import Store, StoreKind
    from streams.table import Table as AgentTable
    from streams.timers import Schedule, TimerCall

F = TypeVar("F", bound=Callable[..., Any])


def always() -> bool:
    """Whether a worker leads that is alone."""
    return True


@dataclass(frozen=True, slots=True)
class AtWork:
    """What a worker lends to the app it runs: where `send` puts records and how it is told, the tasks' tables, the
    clock (ms); whether it is the one worker that does what only one is to do, and who works on a task, by its id; what
    asks and answers.
    """

    outputs: Outputs
    contexts: Callable[[], list[TaskContext]]
    now_ms: Callable[[], int]
    wake: Callable[[], None] = lambda: None
    is_leader: Callable[[], bool] = always
    owner: Callable[[str], Owner | None] = this_worker
    rpc: Callable[[], WorkerRpc] | None = None


class App:
    """A stream-processing app.

    `id` names the consumer group and internal topics. `settings` are those of `streams.config.Settings`, by keyword;
    the environment (`STREAMS_<NAME>`) and the command line win over them. Raises ConfigError for a setting that does
    not exist or has a wrong value.

    >>> app = App("flights")
    >>> app.topic("flights", key_type=str).name
    'flights'
    """

    def __init__(self, id: str, **settings: Any) -> None:
        self.id = check_name(id, "app")
        self.settings: Settings = load_settings(id, settings)
        self.builder = Builder(id)
        self.topics: dict[str, Topic] = {}
        self.agents: list[Agent[Any, Any]] = []
        self.sources: list[Source] = []
        self.timers: list[TimerCall] = []
        self.background: list[Callable[..., Any]] = []
        self.leader_tasks: list[Callable[..., Any]] = []
        self.reports: dict[str, Callable[[], Iterable[object]]] = {}
        self._tables: dict[str, AgentTable[Any, Any]] = {}
        self._plan: Plan | None = None
        self._planned: tuple[int, ...] = ()
        self._agents_built = 0
        self.worker: AtWork | None = None
        """Who runs this app in this process, while somebody does."""

    def __repr__(self) -> str:
        return f"<App {self.id}>"

    # -- topics and streams

    def topic(
        self,
        name: str,
        *,
        key_type: Any = None,
        value_type: Any = None,
        partitions: int | None = None,
        retention: Duration | str | None = None,
        compacting: bool = False,
        config: dict[str, str] | None = None,
        timestamp: TimestampRule | None = None,
        start: Literal["beginning", "end"] = "beginning",
    ) -> Topic:
        """Declares a topic. `retention` is a duration or "forever"; `config` has further settings under Kafka's
        names.

        `timestamp` says what time a record is of. By default that is its own (or what its value's field of type
        `Timestamp` holds), and one before 1970 goes to the error policy ("fail"); "skip" leaves such records out,
        "partition_time" gives them the largest time of those before, "wall" gives every record the clock's, and a
        function of (record, partition time) what it likes: ms, a negative time leaves the record out. `start` is where
        an app begins that has never read the topic.
        """
        definition = TopicDef(
            name=check_name(name, "topic"),
            key_type=key_type,
            value_type=value_type,
            partitions=partitions,
            config=topic_config(retention, compacting, config),
            timestamp=checked_rule(name, timestamp),
            start=start,
            where=caller(),
        )
        known = self.builder.graph.add_topic(definition)
        return self.topics.setdefault(name, Topic(self, known))

    def topic_of(self, topic: Topic | str) -> Topic:
        """A topic given as it is, or by name: the one that is declared or that a step writes, else an untyped one."""
        if not isinstance(topic, str):
            return topic
        written = self.builder.graph.topics.get(topic)
        return self.topics.get(topic) or (self.topic(topic) if written is None else Topic(self, written))

    def stream(
        self,
        *topics: Topic | str,
        pattern: str | None = None,
        name: str | None = None,
        key_type: Any = None,
        value_type: Any = None,
    ) -> Stream:
        """The records of one or more topics as a stream, or of all whose whole names a `pattern` matches.

        A pattern is matched with the topics that are there when a worker starts, those that the app writes itself left
        out; topics made later are read from its next start on. Their records have the types that are given here.
        """
        if pattern is not None and not topics:
            return stream_of_pattern(self.builder, pattern, name, key_type, value_type)
        if pattern is not None or not topics:
            raise TopologyError(f"stream at {caller()}: give it topics, or pattern=")
        first, *others = map(self.topic_of, topics)
        return first.stream().merge(*(other.stream() for other in others)) if others else first.stream()

    # -- agents and tables

    def agent(
        self,
        topic: Topic | str | Iterable[Topic] | None = None,
        *,
        name: str | None = None,
        sink: Any = (),
        group_by: Any = None,
        tables: Iterable[Any] | None = None,
        concurrency: int = 1,
        on_error: Policy | None = None,
        reply_type: Any = None,
    ) -> AgentDecorator:
        """Decorates a coroutine over a stream: `async for value in stream`; what it yields goes to the sinks, and to
        whoever asks it.
        """
        from streams.agent import Agent

        _refuse_function("agent", topic)

        def decorate(function: Callable[..., Any]) -> Agent[Any, Any]:
            made: Agent[Any, Any] = Agent(
                self,
                function,
                topic=topic,
                name=name,
                sink=sink,
                group_by=group_by,
                tables=tables,
                concurrency=concurrency,
                on_error=on_error,
                reply_type=reply_type,
            )
            self.agents.append(made)
            return made

        return decorate

    def Table(
        self,
        name: str,
        *,
        default: Callable[[], Any] | None = None,
        key_type: Any = None,
        value_type: Any = None,
        partitions: int | None = None,
        ttl: Duration | None = None,
    ) -> AgentTable[Any, Any]:
        """A table that agents read and write: `table[key] += 1`. `.tumbling(size)` and `.hopping(size, step)` make it
        windowed.
        """
        from streams.table import Table

        made: AgentTable[Any, Any] = Table(
            self, name, default=default, key_type=key_type, value_type=value_type, partitions=partitions, ttl=ttl
        )
        self._tables[name] = made
        return made

    def store(
        self,
        name: str,
        *,
        key_type: Any = None,
        value_type: Any = None,
        kind: StoreKind = "key_value",
        retention: Duration | None = None,
        size: Duration | None = None,
        ttl: Duration | None = None,
    ) -> Store:
        """A store for processors: `stream.process(P, stores=[store])`, and `ctx.store(name)` there (see `Store`)."""
        from streams.store import Store

        made = Store(name, key_type=key_type, value_type=value_type, kind=kind, retention=retention, size=size, ttl=ttl)
        made.declared_in(self.builder)
        return made

    @property
    def tables(self) -> dict[str, AgentTable[Any, Any]]:
        """Every table of the app by name, whichever face made it; for agents, timers and reports."""
        from streams.table import Table

        for store in self.builder.graph.stores.values():
            if store.name not in self._tables:
                self._tables[store.name] = Table.of_store(self, store)
        return self._tables

    # -- sources, timers, tasks

    def source(self, topic: Topic | str, *, name: str | None = None) -> Callable[[F], F]:
        """Decorates a generator that feeds a topic, exactly once: it yields `Position(...), key, value`."""
        _refuse_function("source", topic)
        definition = self.topic_of(topic).definition

        def decorate(function: F) -> F:
            made = check_name(name or name_of(function), "source")
            if any(other.name == made for other in self.sources):
                raise TopologyError(f"two sources are called {made!r}; give the one at {where(function)} name=")
            self.sources.append(Source(made, function, definition, where(function)))
            return function

        return decorate

    def timer(self, interval: Duration, *, name: str | None = None, on_leader: bool = False) -> Callable[[F], F]:
        """Decorates a function to be called every `interval` while a worker runs.

        With `on_leader` one worker of the app calls it, and its times are multiples of the interval since 1970: those
        are the same on every worker, so whoever leads next goes on with them.
        """
        from streams.timers import Timer

        return self._timed(Timer(interval), name, on_leader)

    def crontab(
        self, expression: str, *, timezone: Any = None, name: str | None = None, on_leader: bool = False
    ) -> Callable[[F], F]:
        """Decorates a function to be called at the times of a cron expression; `timezone` is a name or a tzinfo, UTC
        unless given. With `on_leader` one worker of the app calls it.
        """
        from streams.timers import Crontab

        return self._timed(Crontab(expression, timezone), name, on_leader)

    def _timed(self, schedule: Schedule, name: str | None, on_leader: bool) -> Callable[[F], F]:
        from streams.timers import TimerCall

        def decorate(function: F) -> F:
            self.timers.append(TimerCall(name or name_of(function), schedule, function, where(function), on_leader))
            return function

        return decorate

    @overload
    def task(self, function: F) -> F: ...

    @overload
    def task(self, *, on_leader: bool = False) -> Callable[[F], F]: ...

    def task(self, function: F | None = None, *, on_leader: bool = False) -> F | Callable[[F], F]:
        """Decorates a coroutine function that runs once, beside the worker's loop.

        With `on_leader` one worker of the app runs it: it begins where leadership comes to, once each time, and is
        cancelled where leadership leaves.
        """

        def decorate(function: F) -> F:
            (self.leader_tasks if on_leader else self.background).append(function)
            return function

        return decorate if function is None else decorate(function)

    def is_leader(self) -> bool:
        """Whether the worker in this process is the one that does what only one is to do; false without a worker."""
        return self.worker is not None and self.worker.is_leader()

    def locate(self, table: str, key: Any) -> Location:
        """Which worker has a key of a table, as far as the worker in this process knows; of a windowed table give the
        key without the window.

        Raises StreamsError when no worker runs the app here, when there is no such table, and while nobody has the
        key's partition.
        """
        return locate(self, table, key)

    def report(self, function: Callable[[], Iterable[object]]) -> Callable[[], Iterable[object]]:
        """Decorates a function that gives rows for the worker to show: a live table, and as JSON lines at the end with
        `--json`.
        """
        self.reports[name_of(function)] = function
        return function

    # -- records from outside a pipeline

    async def send(
        self,
        topic: Topic | str,
        *,
        key: Any = None,
        value: Any = None,
        timestamp: int | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        """Sends one record in the transaction of the worker that runs this app. Outside a worker use `app.client()`.

        Raises StreamsError when no worker runs the app in this process.
        """
        from streams.runtime.sending import send

        send(self, topic, key, value, timestamp, headers)

    def client(self, **settings: Any) -> Client:
        """A client for services, scripts and notebooks: `async with app.client() as client`."""
        from streams.client import Client

        return Client(self, **settings)

    # -- the plan

    def plan(self) -> Plan:
        """The topology, arranged. Agents and tables are found now, so that both faces share one graph."""
        for agent in self.agents[self._agents_built :]:
            with speaking_for(agent.where):
                agent.build(self.builder)
            self._agents_built += 1
        if self.builder.unfinished:
            begun = "; ".join(self.builder.unfinished.values())
            raise TopologyError(f"never ended: {begun}. End it with .default() or .no_default().")
        if self._plan is None or self._planned != self._declared():
            self._declare_dead_letters()
            for source in self.sources:
                self.builder.graph.add_topic(source.topic)
            check(self.builder.graph, self.id)
            self._plan = plan(optimise(self.builder.graph, self.settings.optimisations), self.id)
            self._planned = self._declared()
        return self._plan

    def match_topics(self, there: Iterable[str]) -> None:
        """Tells the app which topics the log has, of which its patterns choose."""
        match_topics(self.builder, there, (source.topic.name for source in self.sources))

    def describe(self) -> str:
        """The topology as text, in the layout of `Topology#describe` of Kafka Streams.

        >>> app = App("flights")
        >>> app.topic("flights").stream().to("copies")
        >>> print(app.describe().rstrip())
        Topologies:
           Sub-topology: 0
            Source: flights-source (topics: [flights])
              --> flights-to-copies
            Sink: flights-to-copies (topic: copies)
              <-- flights-source
        """
        return describe.text(self.plan())

    def _declared(self) -> tuple[int, ...]:
        """How much was declared so far; it only ever grows."""
        graph = self.builder.graph
        return len(graph.nodes), len(graph.topics), len(graph.stores), len(self.sources)

    def _declare_dead_letters(self) -> None:
        policies = [self.settings.policy, *(node.on_error for node in self.builder.graph.nodes)]
        for policy in policies:
            end = policy.then if isinstance(policy, Retry) else policy
            if isinstance(end, DeadLetter):
                name = end.topic or f"{self.id}-dead-letter"
                if name not in self.builder.graph.topics:
                    self.builder.graph.add_topic(TopicDef(name=name, key_type=bytes, value_type=bytes))

    def main(self) -> None:
        """The command line of this app: `if __name__ == "__main__": app.main()`."""
        from streams.cli.app_main import app_main

        app_main(self)


def _refuse_function(decorator: str, topic: object) -> None:
    """`@app.agent` without parentheses would take the function for the topic, and do nothing."""
    if callable(topic):
        raise TopologyError(f"@app.{decorator} at {where(topic)}: it takes a topic, so write @app.{decorator}(topic)")
