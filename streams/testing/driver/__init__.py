"""`Driver`: an app under test, on the real engine, with virtual time, without a broker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from streams.durations import Duration
from streams.errors import ConfigError, RecordError, StreamsError, did_you_mean
from streams.graph.definitions import TopicDef
from streams.graph.nodes import Emit
from streams.runtime.conditions import Conditions, declared
from streams.runtime.observer import Restoring
from streams.runtime.steps import COMMIT_STEPS, RESTORE_STEPS, on_step
from streams.testing.driver.clock import Clock
from streams.testing.driver.log import MemoryLog
from streams.testing.driver.records import Headers, TopicForm, TopicRecord, rows_of
from streams.testing.driver.running import Running
from streams.testing.driver.tables import DriverTable
from streams.testing.driver.virtual_loop import VirtualLoop
from streams.transport.contract import TopicSpec

if TYPE_CHECKING:
    from streams.agent import Agent
    from streams.app import App
    from streams.topic import Topic

Partitions = int | Mapping[str, int] | Literal["declared"]

log = logging.getLogger(__name__)

_NOT_OPEN = "the driver is not open: write `with Driver(app) as driver:`"


class Died(BaseException):
    """The app under test has come to the step at which it was to crash."""


class Driver:
    """Runs `app` under test: `with Driver(app) as driver`, or `async with`, also where an event loop runs.

    A pipe is processed to its end, through every repartition, and committed before it returns; nothing happens in
    between two calls. Time is the `clock`'s, which begins at 0 and moves by `advance` only (or while a record waits for
    time: an agent that sleeps, a retry that backs off). Every topic has one partition, whatever the app declares:
    `partitions` is another number, numbers by topic, or "declared". Tables live in memory, or with `store="rocksdb"`
    under `data_dir`. A table that does not say when it emits emits every change: `emit` is another default. The app's
    sources feed nothing unless `sources` is set; its timers and tasks run. `topics` are there before it starts, for
    `app.stream(pattern=...)` to find.

    >>> from streams.app import App
    >>> app = App("shop")
    >>> orders = app.topic("orders", key_type=str, value_type=int)
    >>> orders.stream().group_by_key().count(name="per-customer").to_stream().to("counts")
    >>> with Driver(app) as driver:
    ...     driver.pipe("orders", key="ada", value=30, timestamp=5)
    ...     driver.pipe("orders", [("bob", 10, 6), ("ada", 7, 7)])
    ...     driver.read("counts")
    ...     driver.table("per-customer").get("ada")
    [TopicRecord(key='ada', value=1, timestamp=5, headers=()), \
TopicRecord(key='bob', value=1, timestamp=6, headers=()), \
TopicRecord(key='ada', value=2, timestamp=7, headers=())]
    2
    """

    def __init__(
        self,
        app: App,
        *,
        partitions: Partitions = 1,
        store: Literal["memory", "rocksdb"] = "memory",
        data_dir: str | None = None,
        emit: Emit = "update",
        sources: bool = False,
        topics: Iterable[str] = (),
        clock: Clock | None = None,
    ) -> None:
        _check_choice("store", store, ("memory", "rocksdb"))
        _check_choice("emit", emit, get_args(Emit))
        if store == "rocksdb" and data_dir is None:
            raise ConfigError('Driver(store="rocksdb"): say where, data_dir=tmp_path')
        self.app = app
        self.clock = clock or Clock()
        self.log = MemoryLog()
        """The topics as they lie in the log."""
        self.restored: list[Restoring] = []
        """What starts told of restoring tables."""
        self._settings = app.settings
        self._own_settings = msgspec.structs.replace(
            app.settings, store=store, data_dir=app.settings.data_dir if data_dir is None else str(data_dir)
        )
        self._conditions = Conditions(
            now_ms=lambda: self.clock.now_ms,
            emit=emit,
            partitions=_counts(partitions),
            sources=sources,
        )
        self._there = [TopicSpec(name, self._conditions.partitions(TopicDef(name=name)) or 1) for name in topics]
        self._running: Running | None = None
        self._loop: VirtualLoop | None = None
        self._unfollow: Callable[[], None] = lambda: None
        self._forms: dict[str, TopicForm] = {}
        self._positions: dict[str, dict[int, int]] = {}
        self._die_at: tuple[str, int] | None = None

    # -- life

    def __enter__(self) -> Driver:
        if self.app.worker is not None:
            raise StreamsError(f"{self.app!r} is at work already: one worker or driver at a time runs an app")
        self.app.settings = self._own_settings
        self._loop = VirtualLoop(self.clock)
        self._unfollow = self.clock.follow(self._move_to)
        try:
            self._run(self.log.create(self._there))
            self.restart()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            errors = self._end()
        finally:
            self._close()
        if errors and error is None:
            raise errors[0]

    async def __aenter__(self) -> Driver:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _close(self) -> None:
        self._unfollow()
        if self._loop is not None:
            self._loop.close()
            self._loop = None
        self.app.settings = self._settings

    # -- in

    def pipe(
        self,
        topic: str | Topic,
        records: Iterable[Any] | None = None,
        *,
        key: Any = None,
        value: Any = None,
        timestamp: int | datetime | None = None,
        headers: Headers = (),
        partition: int | None = None,
        commit: bool = True,
    ) -> None:
        """Puts a record into a topic, or `records` together, as one batch and one commit; and lets the app process it
        to the end.

        A record of a list is a `TopicRecord` or a tuple (key, value[, timestamp[, headers]]). A `timestamp` is in ms,
        or a datetime with a time zone; without one the record has the clock's. Its key chooses the partition unless
        `partition` is given. With `commit` False it is processed as far as it comes without a commit: nothing of it can
        be read before one, and a crash forgets it.

        While the app is down the record waits in the topic. What a step raises is raised here, and the app is down.
        """
        rows = rows_of([(key, value, timestamp, headers)] if records is None else records)
        self._append(topic, rows, partition)
        self._settle(commit)

    def pipe_many(
        self,
        topic: str | Topic | Mapping[Any, Iterable[Any]],
        records: Iterable[Any] | None = None,
        *,
        cuts: Sequence[int] = (),
        partition: int | None = None,
        commit: bool = True,
    ) -> None:
        """Pipes many records, cut into batches before those at the places `cuts`: each batch is one pipe.

        With a mapping of topics to records all of them are there before any is processed, and each task takes them in
        the order of their timestamps, as it does of what waits for it in several topics (KIP-353); of equal ones those
        of the topic that comes first in the plan.
        """
        if isinstance(topic, Mapping):
            for name, given in topic.items():
                self._append(name, rows_of(given), partition)
            self._settle(commit)
            return
        rows = rows_of(records or ())
        places = [0, *sorted(set(cuts) - {0, len(rows)}), len(rows)]
        for start, stop in pairwise(places):
            self._append(topic, rows[start:stop], partition)
            self._settle(commit)

    def _append(self, topic: str | Topic, rows: list[TopicRecord], partition: int | None) -> None:
        if self._loop is None:
            raise StreamsError(_NOT_OPEN)
        name = self._named(topic)
        batches = self._form(name).encode(rows, self.log.partitions(name), partition, self.clock.now_ms)
        for tp, batch in batches.items():
            self.log.append(tp, batch)

    def ask(
        self, agent: str | Agent[Any, Any], value: Any, *, key: Any = None, timeout: Duration | None = None, **more: Any
    ) -> Any:
        """Asks an agent as `agent.ask` does, and gives its answer; the clock goes on as far as that takes.

        Raises what `agent.ask` raises: AgentFailedError, NoReplyError, AskTimeoutError. An error that stops the app is
        raised as it is, as by `pipe`.
        """
        agents = {one.name: one for one in self.app.agents}
        name = agent if isinstance(agent, str) else agent.name
        if name not in agents:
            raise StreamsError(f"the app has no agent {name!r}.{did_you_mean(name, agents)}")
        running, asked = self._alive(), agents[name]
        answers: list[asyncio.Future[Any]] = []

        async def ask() -> None:
            answers.append(asked.ask(value, key=key, timeout=timeout, **more))
            await running.until(answers[0])

        self._run(ask())
        if not answers[0].done():
            raise StreamsError(f"the app died before agent {name!r} had answered")
        return answers[0].result()

    def advance(self, wall: Duration) -> None:
        """Lets the wall clock go on by a duration. Timers and crontabs are called at their times on the way; what looks
        at the clock in between records (punctuation by wall clock, writers that are idle) sees it at those times and at
        the end, so that what it has missed meanwhile comes once, as in Kafka's `advanceWallClockTime`.
        """
        self.clock.advance(wall)

    def _move_to(self, at_ms: int) -> None:
        if self._running is not None:
            self._run(self._running.move_to(at_ms))

    # -- out

    def read(self, topic: str | Topic) -> list[TopicRecord]:
        """The records that came to a topic since it was read last, as a reader of what is committed sees them."""
        name = self._named(topic)
        form = self._form(name)
        found = self.log.committed_batches(name, self._positions.setdefault(name, {}))
        return [record for _, batch in found for record in form.decode(batch)]

    def table(self, name: str) -> DriverTable:
        """A table by its name, as of the last commit; a global one as it is now."""
        assembly = self._alive().assembly
        stores = self.app.plan().stores
        if name not in stores:
            raise StreamsError(f"no table is called {name!r}.{did_you_mean(name, stores)}")
        everywhere = [assembly.globals.pushed(), *(task.stores for task in assembly.tasks)]
        keeping = [stores for stores in everywhere if name in stores.specs]
        return DriverTable(stores[name], keeping)

    @property
    def dropped(self) -> dict[tuple[str, str], int]:
        """Records that were left out since the last start, by step and reason: "late", "null_key", "skip", ..."""
        return dict(self._alive().assembly.totals().dropped)

    # -- crashes

    def commit(self) -> None:
        """Commits what is not, whatever is being collected by time."""
        self._run(self._alive().commit())

    def crash(self, at: str | None = None, *, occurrence: int = 1) -> None:
        """Ends the app as a kill does: what was not committed is lost, and stores in memory with it.

        With `at` it dies when it comes to that step of a commit or a restore (`streams.runtime.steps`) for the
        `occurrence`-th time from now; until then it goes on. A pipe in which it dies returns, and `is_down` says so.
        """
        if at is None:
            self._report(self._end())
        elif at in (*COMMIT_STEPS, *RESTORE_STEPS):
            self._die_at = at, occurrence
        else:
            raise ConfigError(f"no step is called {at!r}.{did_you_mean(at, [*COMMIT_STEPS, *RESTORE_STEPS])}")

    @property
    def is_down(self) -> bool:
        """Whether the app has crashed, failed or was stopped, and was not started again."""
        return self._running is None

    def stop(self) -> None:
        """Commits, and ends the app."""
        running, self._running = self._alive(), None
        self._run(running.stop())

    def restart(self) -> None:
        """Starts the app where the last commit left it; one that is not down is stopped before."""
        if self._running is not None:
            self.stop()
        self._run(self._start())

    async def _start(self) -> None:
        assert self._loop is not None
        self._running = await Running.start(
            self.app, self.log, self._conditions, self._loop, self.clock, self.restored.append
        )
        await self._running.settle()

    # -- within

    def _settle(self, commit: bool) -> None:
        if self._running is not None:
            self._run(self._running.settle(commit=commit))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        if self._loop is None:
            work.close()
            raise StreamsError(_NOT_OPEN)
        forget = on_step(self._look) if self._die_at is not None else None
        try:
            self._loop.run(work)
        except Died:
            self._report(self._end())
        except RecordError as error:
            self._report(self._end())
            raise error.with_traceback(None) from error.__cause__  # it says what and where by itself
        except BaseException:
            self._report(self._end())
            raise
        finally:
            if forget is not None:
                forget()

    def _look(self, step: str) -> None:
        """Called at each step while the app is to die at one."""
        if self._die_at is not None and self._die_at[0] == step:
            self._die_at = (step, self._die_at[1] - 1) if self._die_at[1] > 1 else None
            if self._die_at is None:
                raise Died

    def _end(self) -> list[Exception]:
        running, self._running = self._running, None
        if running is None or self._loop is None:
            return []
        return self._loop.run(running.end())

    def _report(self, errors: list[Exception]) -> None:
        for error in errors:
            log.warning("while the app ended: %s", error)

    def _alive(self) -> Running:
        if self._running is None:
            raise StreamsError("the app is down: it crashed, failed or was stopped. Call driver.restart() first.")
        return self._running

    def _named(self, topic: str | Topic) -> str:
        name = topic if isinstance(topic, str) else topic.name
        topics = self.app.plan().topics
        if name not in topics:
            raise StreamsError(f"the app has no topic {name!r}.{did_you_mean(name, topics)}")
        return name

    def _form(self, topic: str) -> TopicForm:
        if topic not in self._forms:
            graph = self.app.builder.graph
            self._forms[topic] = TopicForm(graph.topics[topic], graph)
        return self._forms[topic]


def _check_choice(option: str, given: object, choices: Sequence[str]) -> None:
    if given not in choices:
        raise ConfigError(f"Driver({option}={given!r}): give one of {', '.join(map(repr, choices))}")


def _counts(partitions: Partitions) -> Callable[[TopicDef], int | None]:
    if partitions == "declared":
        return declared
    if isinstance(partitions, int):
        return lambda topic: partitions
    if not isinstance(partitions, Mapping):
        raise ConfigError(f'Driver(partitions={partitions!r}): give a number, numbers by topic, or "declared"')
    return lambda topic: partitions.get(topic.name, topic.partitions if topic.internal else 1)


__all__ = ["Clock", "Driver", "DriverTable", "TopicRecord"]
