"""A step on a bench: real stores in memory, real outputs, no broker and no runtime.

`check` holds the rule of batches for every operator: however the rows are cut, and whether they come as objects or as
the bytes of a log, what comes out is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from broker_embedded import records
from state.api import Checkpoint, StoreSpec
from state.backends.memory import MemoryBackend
from state.task_stores import TaskStores
from streams.app import App
from streams.batch import Batch, Headers
from streams.dsl.stream import Stream
from streams.graph.nodes import Node, SourceNode
from streams.operators.base import Blocked, TaskContext
from streams.operators.clocks import Clocks
from streams.operators.failures import Failures
from streams.operators.outputs import Outputs
from streams.operators.registry import operator_for
from streams.operators.sources.source import SourceOperator
from streams.operators.stored import store_spec
from streams.policies import Policy, stop
from streams.serde import key_serde_for, serde_for

Build = Callable[[Stream], Any]


class Row(NamedTuple):
    """A row that came out of a step."""

    key: Any
    value: Any
    timestamp: int
    headers: Headers
    offset: int


class Bench:
    """The last step that `build` adds to a stream, in one task."""

    def __init__(
        self,
        build: Build,
        *,
        key_type: Any = str,
        value_type: Any = int,
        policy: Policy | None = None,
        decoded: bool = False,
        partitions: int = 1,
        topic: str = "numbers",
    ) -> None:
        self.app = App("bench")
        self.topic = self.app.topic(topic, key_type=key_type, value_type=value_type)
        build(self.topic.stream())
        self.plan = self.app.plan()
        self.node = self.app.builder.graph.nodes[-1]
        self.backend = MemoryBackend()
        self.changelog: list[tuple[str, bytes, bytes | None, int]] = []
        self.outputs = Outputs(lambda topic: partitions, lambda topic: "none")
        self.failures = Failures(policy or stop(), self.outputs, "dead")
        self.time_bound = 2**63 - 1
        self.waits: list[float] = []
        self._decoded = decoded
        self._offset = 0
        self.open()

    @property
    def counts(self) -> dict[str, int]:
        """Outcome to records, of the step."""
        return {outcome: n for (step, outcome), n in self.failures.counts.items() if step == self.node.name}

    def open(self) -> None:
        stores = self.plan.stores.values()
        specs = [store_spec(store) for store in stores]
        self.stores = TaskStores(self.backend, [*specs, StoreSpec("clocks")], self._log)
        name = self.node.name
        sub = next(sub for sub in self.plan.subtopologies if name in {node.name for node in sub.nodes})
        self.context = TaskContext(
            "task-0",
            0,
            self.stores,
            self.outputs,
            self.failures,
            lambda: 0,
            self._sleep,
            clocks=Clocks(self.stores, "clocks"),
            shared_stores=sub.shared_stores,
        )
        self.context.time_bound = self.time_bound
        self.operators = self.context.operators = {node.name: operator_for(node, self.context) for node in sub.nodes}
        for operator in self.operators.values():
            operator.open()
        self.operator = self.operators[self.node.name]

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def _log(self, store: str, keys: Any, values: Any, timestamps: Any) -> None:
        if store != "clocks":
            columns = (part.cut() if hasattr(part, "cut") else part for part in (keys, values))
            entries = zip(*columns, [int(time) for time in timestamps], strict=True)
            self.changelog += [(store, key, value, time) for key, value, time in entries]

    # -- rows in, rows out

    def batch(self, rows: Sequence[tuple[Any, ...]]) -> Batch:
        """Rows are (key, value), (key, value, timestamp) or (key, value, timestamp, headers)."""
        keys, values = [row[0] for row in rows], [row[1] for row in rows]
        offsets = np.arange(self._offset, self._offset + len(rows), dtype=np.int64)
        self._offset += len(rows)
        times = [row[2] if len(row) > 2 else int(offset) for row, offset in zip(rows, offsets, strict=True)]
        headers = [row[3] if len(row) > 3 else () for row in rows] if any(len(row) > 3 for row in rows) else None
        if self._decoded:
            return self._through_bytes(keys, values, times, headers, int(offsets[0]) if rows else 0)
        return Batch(
            offsets=offsets,
            timestamps=np.array(times, np.int64),
            keys=keys,
            values=values,
            headers=headers,
            topic=self.topic.name,
            value_type=self._source_of(self.node).topic.value_type,
        )

    def _source_of(self, node: Node) -> SourceNode:
        while not isinstance(node, SourceNode):
            node = node.parents[0]
        return node

    def _through_bytes(self, keys: list[Any], values: list[Any], times: list[int], headers: Any, base: int) -> Batch:
        source = self._source_of(self.node)
        key_bytes = key_serde_for(source.topic.key_type).encode_many(keys)
        value_bytes = serde_for(source.topic.value_type).encode_many(values)
        # A source lets no time before 1970 pass; a step may be given one all the same.
        raw = records.encode(key_bytes, value_bytes, [max(0, time) for time in times], headers, base_offset=base)
        (segment,) = SourceOperator(source, self.context).decode([memoryview(raw)], 0, base)
        assert isinstance(segment, Batch)
        if times and min(times) < 0:
            segment.timestamps = np.array(times, np.int64)
        return segment

    def send(self, *rows: tuple[Any, ...]) -> list[Row]:
        return self.process(self.batch(rows)) if rows else []

    def process(self, batch: Batch) -> list[Row]:
        return self.all_of(self.operator.process(batch))

    def changes(self, *rows: tuple[Any, ...]) -> list[tuple[Any, Any, Any, int]]:
        """(key, new, old, timestamp) of what comes out when records go through all the steps from the topic on."""
        batch: Batch | None = self.batch(rows)
        for node in self._way(self.node):
            batch = None if batch is None else self.operators[node.name].process(batch)
        if batch is None:
            return []
        olds = batch.olds or [None] * len(batch)
        return [(*row[:2], old, row[2]) for row, old in zip(batch.rows(), olds, strict=True)]

    def _way(self, node: Node) -> list[Node]:
        return [*(self._way(node.parents[0]) if node.parents else ()), node]

    def all_of(self, batch: Batch | None) -> list[Row]:
        """An answer, with what was left of it."""
        found: list[Row] = []
        while batch is not None:
            found += shown(batch)
            batch = self.operator.more()
        return found

    async def wait(self, work: Callable[[], Batch | None]) -> list[Row]:
        """`work`, and what it waits for."""
        while True:
            try:
                return self.all_of(work())
            except Blocked as blocked:
                await blocked.awaitable
                work = blocked.resume

    def flush(self) -> list[Row]:
        return self.all_of(self.operator.flush())

    def advance(self, time_bound: int) -> list[Row]:
        self.time_bound = self.context.time_bound = time_bound
        return self.all_of(self.operator.advance())

    def commit(self) -> list[Row]:
        """What a commit does: emits, saves, logs, writes."""
        out = self.flush()
        for operator in self.operators.values():
            for _ in operator.save():
                pass
        self.stores.begin_commit()
        for _ in self.stores.finish_commit({name: Checkpoint("id", 1) for name in self.stores.specs}):
            pass
        return out

    def restart(self) -> None:
        """What is not committed is gone."""
        self.stores.abandon()
        self.open()

    def written(self) -> dict[str, list[tuple[bytes | None, bytes | None, int]]]:
        """Topic to (key, value, timestamp) of the records that wait in the outputs."""
        found: dict[str, list[tuple[bytes | None, bytes | None, int]]] = {}
        for tp, data, _ in self.outputs.drain():
            part = records.decode(memoryview(data))
            rows = zip(part.keys(), part.values(), part.timestamps.tolist(), strict=True)
            found.setdefault(tp.topic, []).extend(rows)
        return found


def shown(batch: Batch | None) -> list[Row]:
    if batch is None:
        return []
    headers = batch.headers or [()] * len(batch)
    rows = zip(
        batch.keys, batch.values, batch.timestamps.tolist(), map(tuple, headers), batch.offsets.tolist(), strict=True
    )
    return [Row(*row) for row in rows]


def cut(rows: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (rows[at : at + size] for at in range(0, len(rows), size))


@pytest.fixture
def bench() -> Callable[..., Bench]:
    """`bench(build, policy=, key_type=, value_type=)`: the last step that `build(stream)` adds."""
    return Bench


@pytest.fixture
def check() -> Callable[..., None]:
    """`check(build, rows, expected, counts, **options)`: expected rows are (key, value) or longer, as `Row`."""

    def check(
        build: Build, rows: Sequence[tuple[Any, ...]], expected: Sequence[tuple[Any, ...]], **options: Any
    ) -> None:
        counts = options.pop("counts", {})
        for decoded in (False, True):
            for size in {1, 2, max(1, len(rows))}:
                made = Bench(build, decoded=decoded, **options)
                found = [row for piece in cut(rows, size) for row in made.send(*piece)]
                width = max((len(row) for row in expected), default=2)
                assert [tuple(row[:width]) for row in found] == [tuple(row) for row in expected], (decoded, size)
                assert made.counts == counts, (decoded, size)

    return check
