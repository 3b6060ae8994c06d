"""An agent's operator on a bench: real stores in memory, real error policies, no broker and no runtime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from state.api import Checkpoint, StoreSpec
from state.backends.memory import MemoryBackend
from state.task_stores import TaskStores
from streams.app import App
from streams.batch import Batch
from streams.graph.nodes import AgentNode
from streams.operators.agents.agent import AgentOperator
from streams.operators.base import Blocked, TaskContext
from streams.operators.clocks import Clocks
from streams.operators.failures import Failures
from streams.operators.outputs import Outputs
from streams.operators.stored import store_spec
from streams.policies import Policy, stop

Row = tuple[Any, Any, int]


class Bench:
    """One task of one agent."""

    def __init__(self, app: App, policy: Policy) -> None:
        self.app = app
        self.plan = app.plan()
        nodes = [node for sub in self.plan.subtopologies for node in sub.nodes]
        self.node = next(node for node in nodes if isinstance(node, AgentNode))
        self.backend = MemoryBackend()
        self.changelog: list[tuple[str, bytes, bytes | None]] = []
        self.outputs = Outputs(lambda topic: 1, lambda topic: "none")
        self.failures = Failures(policy, self.outputs, "dead")
        self.now_ms = 0
        self.time_bound = 2**63 - 1
        self.waits = 0
        self._offset = 0
        self.open()

    def open(self) -> None:
        stores = self.plan.stores.values()
        specs = [store_spec(store) for store in stores]
        self.stores = TaskStores(self.backend, [*specs, StoreSpec("clocks")], self._log)
        clocks = Clocks(self.stores, "clocks")
        self.context = TaskContext(
            "task-0", 0, self.stores, self.outputs, self.failures, lambda: self.now_ms, clocks=clocks
        )
        self.context.time_bound = self.time_bound
        self.operator = AgentOperator(self.node, self.context)
        self.operator.open()

    def _log(self, store: str, keys: list[bytes], values: list[bytes | None], timestamps: list[int]) -> None:
        if store != "clocks":
            self.changelog += [(store, key, value) for key, value in zip(keys, values, strict=True)]

    def batch(self, records: list[tuple[Any, Any]], timestamps: list[int] | None = None, **more: Any) -> Batch:
        count = len(records)
        offsets = np.arange(self._offset, self._offset + count)
        self._offset += count
        return Batch(
            offsets=offsets,
            timestamps=np.array(offsets if timestamps is None else timestamps, np.int64),
            keys=[key for key, _ in records],
            values=[value for _, value in records],
            topic="numbers",
            **more,
        )

    async def send(self, records: list[Any], timestamps: list[int] | None = None) -> list[Row]:
        """Processes values, or (key, value) pairs; gives (key, value, offset) of what comes out."""
        pairs = [record if isinstance(record, tuple) else ("k", record) for record in records]
        return await self.process(self.batch(pairs, timestamps))

    async def process(self, batch: Batch) -> list[Row]:
        return rows(await self.settle(lambda: self.operator.process(batch)))

    async def flush(self) -> list[Row]:
        return rows(await self.settle(self.operator.flush))

    async def settle(self, work: Callable[[], Batch | None]) -> Batch | None:
        while True:
            try:
                return work()
            except Blocked as blocked:
                self.waits += 1
                await asyncio.wait_for(blocked.awaitable, 10)
                work = blocked.resume

    async def commit(self) -> list[Row]:
        out = await self.flush()
        list(self.operator.save())
        self.stores.begin_commit()
        for _ in self.stores.finish_commit({name: Checkpoint("id", 1) for name in self.stores.specs}):
            pass
        return out

    async def close(self) -> None:
        self.operator.close()
        await self.operator.closed()

    async def restart(self) -> None:
        """A crash: what is not committed is gone."""
        await self.close()
        self.stores.abandon()
        self.open()


def rows(batch: Batch | None) -> list[Row]:
    return [] if batch is None else list(zip(batch.keys, batch.values, batch.offsets.tolist(), strict=True))


@pytest.fixture
def app() -> App:
    return App("bench")


@pytest.fixture
async def bench(app: App) -> AsyncIterator[Callable[..., Bench]]:
    """`bench(function, policy, **options)` makes the function an agent of `app`, or `of=`, over the topic "numbers"."""
    made: list[Bench] = []

    def make(function: Callable[..., Any], policy: Policy | None = None, **options: Any) -> Bench:
        of = options.pop("of", app)
        topic = options.pop("topic", None) or of.topic("numbers", key_type=str, value_type=int)
        of.agent(topic, **options)(function)
        made.append(Bench(of, policy or stop()))
        return made[-1]

    yield make
    for one in made:
        await one.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
