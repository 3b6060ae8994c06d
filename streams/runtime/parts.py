"""Makes the parts of a worker that there are several of: tasks with their stores, and sources."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from state.api import Backend
from state.backends.memory import MemoryBackend
from state.task_stores import TaskStores
from streams.graph.nodes import Node
from streams.graph.plan import Plan, SubTopology
from streams.operators.encoding import RecordEncoder
from streams.operators.failures import Failures
from streams.operators.outputs import Outputs
from streams.operators.stored import store_spec
from streams.runtime.conditions import Conditions
from streams.runtime.folders import task_folder
from streams.runtime.global_tables import GlobalTables
from streams.runtime.idle_sources import IdleSources
from streams.runtime.ingest import Ingest
from streams.runtime.stream_time import holding_back
from streams.runtime.task import Task
from streams.runtime.topics import Topics, clock_store, position_topic
from streams.sources import Source

if TYPE_CHECKING:
    from streams.app import App


class Parts:
    """`backends` are the stores' places by task: they outlive the tasks, which may be made anew over them."""

    def __init__(
        self, app: App, plan: Plan, topics: Topics, backends: dict[str, Backend], conditions: Conditions
    ) -> None:
        self._app = app
        self._settings = app.settings
        self._plan = plan
        self._topics = topics
        self._writers = holding_back(plan, topics.tasks)
        self._backends = backends
        self._conditions = conditions
        self._idle_sources: dict[str, IdleSources] = {}
        self.failures: list[Failures] = []

    def tasks(self, shared: GlobalTables) -> list[Task]:
        """One for each sub-topology and partition; all look into the same global tables."""
        subs = self._plan.subtopologies
        made = [self._task(sub, partition) for sub in subs for partition in range(self._topics.tasks[sub.id])]
        for task in made:
            task.context.views.update(shared.views)
        return made

    def global_tables(self, outputs: Outputs) -> GlobalTables:
        """The tables that every task sees; `outputs` takes dead letters."""
        failures = self._failures(outputs)
        return GlobalTables(self._plan.globals, self._topics, self._backend, outputs, failures, self._conditions.now_ms)

    def outputs(self) -> Outputs:
        return Outputs(self._topics.partitions, self._topics.codec)

    def ingest(self, source: Source, wake: Callable[[], None]) -> Ingest:
        """A source; `wake` is called when an async one has a row."""
        outputs = self.outputs()
        node = Node(name=source.name, where=source.where)
        encoder = RecordEncoder(source.topic, node, outputs, self._failures(outputs))
        return Ingest(
            source, outputs, encoder, position_topic(self._app.id, source.name), self._conditions.now_ms, wake
        )

    def _task(self, sub: SubTopology, partition: int) -> Task:
        outputs = self.outputs()
        idle_ms = 0 if self._conditions.replay else self._settings.source_idle_after_ms
        clock = clock_store(sub, self._app.id)
        defs = [*sub.stores, clock] if clock is not None else sub.stores
        changelogs = {store.name: store.changelog for store in defs}

        def log(store: str, keys: list[bytes], values: list[bytes | None], timestamps: list[int]) -> None:
            outputs.add(changelogs[store], keys, values, timestamps, partition=partition)

        stores = TaskStores(
            self._backend(f"{sub.id}-{partition}", bool(defs)),
            [store_spec(store) for store in defs],
            log,
            max_pending_entries=self._settings.uncommitted_entries_max,
            max_pending_bytes=self._settings.uncommitted_bytes_max,
        )
        return Task(
            sub,
            partition,
            stores=stores,
            outputs=outputs,
            failures=self._failures(outputs),
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

    def _failures(self, outputs: Outputs) -> Failures:
        made = Failures(self._settings.policy, outputs, f"{self._app.id}-dead-letter")
        self.failures.append(made)
        return made

    def _backend(self, task: str, needed: bool) -> Backend:
        if not needed or self._settings.store == "memory":
            return self._backends.setdefault(task, MemoryBackend())
        if task not in self._backends:
            from state.backends.rocks import RocksBackend
            from state.budget import StateMemory

            StateMemory.shared().resize(self._settings.state_memory_bytes)
            self._backends[task] = RocksBackend(task_folder(self._settings, task))
        return self._backends[task]
