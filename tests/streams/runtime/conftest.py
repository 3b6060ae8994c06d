"""Tasks on a bench: logs in lists, fetches cut as a test likes, no broker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

import streams
from broker_embedded import records
from state.api import StoreSpec
from state.backends.memory import MemoryBackend
from state.task_stores import TaskStores
from streams.operators.failures import Failures
from streams.operators.outputs import Outputs
from streams.operators.stored import store_spec
from streams.policies import Policy, stop
from streams.runtime.conditions import Conditions
from streams.runtime.task import Start, Task
from streams.transport.contract import Fetched, TopicPartition

Record = tuple[Any, Any, int]


class Log:
    """Raw batches of one partition; a gap of offsets may lie in front of each (control records, compaction)."""

    def __init__(self, tp: TopicPartition) -> None:
        self.tp = tp
        self.batches: list[tuple[int, int, memoryview]] = []
        self.end = 0

    def append(self, rows: Sequence[tuple[bytes | None, bytes | None, int]], gap: int = 0, **more: Any) -> None:
        base = self.end + gap
        keys, values, times = zip(*rows, strict=True)
        raw = records.encode(list(keys), list(values), list(times), base_offset=base, **more)
        self.end = base + len(rows)
        self.batches.append((base, self.end, memoryview(raw)))

    def skip(self, gap: int) -> None:
        """The end of the log moves on without records."""
        self.end += gap

    def fetch(self, offset: int, batches: int = 1) -> Fetched | None:
        """Up to so many batches from an offset on; None where there is nothing."""
        found = [batch for batch in self.batches if batch[1] > offset][:batches]
        if offset >= self.end:
            return None
        last = found and found[-1] is not self.batches[-1]
        next_offset = found[-1][1] if last else self.end
        return Fetched(self.tp, [data for _, _, data in found], offset, next_offset, self.end, self.end, 0)


class TaskBench:
    """One task of the sub-topology that reads `topic`, with all of its logs."""

    def __init__(
        self, app: streams.App, topic: str, *, rows_max: int = 1_000, policy: Policy | None = None, **options: Any
    ) -> None:
        plan = app.plan()
        self.sub = next(s for s in plan.subtopologies if topic in {source.topic.name for source in s.sources})
        self.outputs = Outputs(lambda topic: 1, lambda topic: "none")
        self.failures = Failures(policy or stop(), self.outputs, "dead")
        self.now_ms = 0
        specs = [store_spec(store) for store in self.sub.stores]
        self.stores = TaskStores(MemoryBackend(), [*specs, StoreSpec("clocks")], lambda *change: None)
        self.task = Task(
            self.sub,
            0,
            stores=self.stores,
            outputs=self.outputs,
            failures=self.failures,
            conditions=Conditions(now_ms=lambda: self.now_ms, sleep=self._sleep),
            writers=options.pop("writers", {}),
            clock_store="clocks",
            batch_records_max=rows_max,
            idle_after_ms=options.pop("idle_after_ms", None),
        )
        tps = [TopicPartition(source.topic.name, 0) for source in self.sub.sources]
        self.logs = {tp.topic: Log(tp) for tp in tps}
        self._starts = options.pop("starts", {})

    async def _sleep(self, seconds: float) -> None: ...

    def open(self) -> None:
        starts = {log.tp: Start(self._starts.get(topic, 0)) for topic, log in self.logs.items()}
        self.task.open(starts, {log.tp: log.end for log in self.logs.values()})

    def fetch(self, batches: int = 1, topics: Sequence[str] | None = None) -> int:
        """One fetch for all that the task wants."""
        found = 0
        for queue in list(self.task.wants()):
            fetched = self.logs[queue.tp.topic].fetch(queue.fetch_offset, batches)
            if fetched is not None and (topics is None or queue.tp.topic in topics):
                queue.offer(fetched)
                found += 1
        return found

    async def run(self, batches: int = 1) -> None:
        """To the end of all logs."""
        while self.fetch(batches) + await self.task.turn():
            pass


@pytest.fixture
def task_bench() -> Callable[..., TaskBench]:
    """`task_bench(app, topic, rows_max=, writers=, ...)`."""
    return TaskBench
