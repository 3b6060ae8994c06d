"""Makes the parts of a worker that there are several of: tasks with their stores, and sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING

from state.task_stores import TaskStores
from streams.graph.definitions import StoreDef
from streams.graph.nodes import Node
from streams.graph.plan import Plan
from streams.operators.encoding import RecordEncoder
from streams.operators.failures import Failures
from streams.operators.outputs import Outputs
from streams.operators.stored import store_spec
from streams.runtime.changelog import changelog_writer
from streams.runtime.conditions import Conditions
from streams.runtime.folders import Folders
from streams.runtime.global_tables import GlobalTables
from streams.runtime.idle_sources import IdleSources
from streams.runtime.ingest import SOURCE, Ingest, named
from streams.runtime.state_folders import GLOBAL
from streams.runtime.stream_time import holding_back
from streams.runtime.task import Task
from streams.runtime.topics import Topics, clock_store, position_topic

if TYPE_CHECKING:
    from streams.app import App


def is_source(name: str) -> bool:
    """Whether a source of the app is meant, and not a task."""
    return name.startswith(SOURCE)


class Parts:
    """`folders` has the stores open: they outlive the tasks, which may be made anew over them."""

    def __init__(self, app: App, plan: Plan, topics: Topics, folders: Folders, conditions: Conditions) -> None:
        self._app = app
        self._settings = app.settings
        self._plan = plan
        self._topics = topics
        self._writers = holding_back(plan, topics.tasks)
        self._folders = folders
        self._conditions = conditions
        self._idle_sources: dict[str, IdleSources] = {}
        self._shared: GlobalTables | None = None
        self._failures: dict[str, Failures] = {}
        self._dropped: Counter[tuple[str, str]] = Counter()
        subs = [(sub, partition) for sub in plan.subtopologies for partition in range(topics.tasks[sub.id])]
        self.tasks = {sub.task_id(partition): (sub, partition) for sub, partition in subs}
        """Sub-topology and partition of every task of the app, by name."""
        self.sources = {named(source): source for source in app.sources if conditions.sources}

    @property
    def names(self) -> list[str]:
        """Everything that the workers of the app share, in the order of the plan."""
        return [*self.tasks, *self.sources]

    def release(self, name: str) -> None:
        """Nobody works on this here any more: its stores are closed, its folder is free."""
        if name in self._failures:
            self._dropped += self._failures.pop(name).dropped_counts
        self._folders.close(name)

    async def take(self, names: Iterable[str], wait_s: float | None = None) -> AsyncIterator[list[str]]:
        """Takes the folders of tasks, which another worker of this place may be about to let go, and gives those that
        can be made (`Folders.take`).
        """
        stateful = {name: bool(self.stores(name)) for name in names}
        if free := [name for name in names if not stateful[name]]:
            yield free
        async for taken in self._folders.take([name for name in names if stateful[name]], wait_s):
            yield taken

    def let_go(self, names: Iterable[str]) -> None:
        """Frees those folders that were taken for tasks which are not made."""
        self._folders.let_go(names)

    def dropped(self) -> Counter[tuple[str, str]]:
        """Records left out so far, by step and reason."""
        return sum((part.dropped_counts for part in self._failures.values()), self._dropped)

    def global_tables(self, outputs: Outputs) -> GlobalTables:
        """The tables that every task sees; `outputs` takes dead letters."""
        failures = self._failures_of(GLOBAL, outputs)
        now_ms = self._conditions.now_ms
        self._shared = GlobalTables(self._plan.globals, self._topics, self._folders, outputs, failures, now_ms)
        return self._shared

    def outputs(self) -> Outputs:
        return Outputs(self._topics.partitions, self._topics.codec)

    def ingest(self, name: str, wake: Callable[[], None]) -> Ingest:
        """The source of that name; `wake` is called when an async one has a row."""
        source, outputs = self.sources[name], self.outputs()
        node = Node(name=source.name, where=source.where)
        encoder = RecordEncoder(source.topic, node, outputs, self._failures_of(name, outputs))
        topic = position_topic(self._app.id, source.name)
        return Ingest(source, outputs, encoder, topic, self._conditions.now_ms, wake)

    def task(self, name: str) -> Task:
        """The task of that name, over its stores as they are."""
        sub, partition = self.tasks[name]
        outputs = self.outputs()
        idle_ms = 0 if self._conditions.replay else self._settings.source_idle_after_ms
        clock, defs = clock_store(sub, self._app.id), self.stores(name)
        changelogs = {store.name: store.changelog for store in defs}
        stores = TaskStores(
            self._folders.backend(name, [store.name for store in defs], needed=bool(defs)),
            [store_spec(store) for store in defs],
            changelog_writer(outputs, changelogs, partition),
            max_pending_entries=self._settings.uncommitted_entries_max,
            max_pending_bytes=self._settings.uncommitted_bytes_max,
        )
        made = Task(
            sub,
            partition,
            stores=stores,
            outputs=outputs,
            failures=self._failures_of(name, outputs),
            conditions=self._conditions,
            writers=self._writers[sub.id],
            circle=self._plan.circle(sub),
            app_id=self._app.id,
            clock_store=None if clock is None else clock.name,
            batch_records_max=self._settings.batch_records_max,
            max_task_idle_ms=self._settings.max_task_idle_ms,
            idle_after_ms=None if self._conditions.replay else self._settings.idle_after_ms,
            idle_sources=self._idle_sources.setdefault(sub.id, IdleSources(idle_ms)) if idle_ms else None,
        )
        if self._shared is not None:
            made.context.views.update(self._shared.views)
        return made

    def _failures_of(self, name: str, outputs: Outputs) -> Failures:
        if name in self._failures:
            self._dropped += self._failures[name].dropped_counts
        made = self._failures[name] = Failures(self._settings.policy, outputs, f"{self._app.id}-dead-letter")
        return made

    def stores(self, name: str) -> list[StoreDef]:
        """What a task keeps: the stores of its sub-topology, and its times."""
        sub, _ = self.tasks[name]
        clock = clock_store(sub, self._app.id)
        return list(sub.stores) if clock is None else [*sub.stores, clock]
