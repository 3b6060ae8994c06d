"""Pushes batches through the operators of a task, parents before children, one branch to its end before the next.

Work waits on a stack, so a step that has to wait (`Blocked`) leaves everything in its place, and the task goes on from
there.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

from streams.batch import Batch
from streams.errors import TopologyError
from streams.graph.nodes import Node
from streams.graph.plan import SubTopology
from streams.operators.base import Blocked, Operator

Work = Callable[[], Batch | None]

TURN_S = 0.010
"""Work is cut so that the event loop waits about this long at most."""


class Executor:
    """The operators of one task. With a `row_reason` every batch goes through one record at a time, each announced to
    `before_row`.

    `due` gives the calls that the stream time of the record at an offset makes due (None: time moved without one), each
    when the one before it is done.
    """

    def __init__(
        self,
        sub: SubTopology,
        operators: dict[str, Operator[Any]],
        before_row: Callable[[Batch], None],
        due: Callable[[int | None], Iterator[tuple[str, Work]]] = lambda offset: iter(()),
    ) -> None:
        self.operators = operators
        self._before_row = before_row
        self._due = due
        self._children: dict[str, list[tuple[Node, int]]] = {node.name: sub.children(node) for node in sub.nodes}
        self._by_row = sub.row_reason is not None
        self._stack: list[tuple[str, Work]] = []
        self._yielded_s = 0.0

    async def push(self, source: Node, batch: Batch) -> None:
        """A batch of a source topic, to the end of every branch. Awaits only what a step waits for."""
        self._yielded_s = perf_counter()
        if self._by_row:
            for row in range(len(batch)):
                one = batch[row : row + 1]
                self._before_row(one)
                self._give(source.name, 0, one)
                await self.settle()
                await self.run(self._due(int(one.offsets[0])))
            await self.run((name, operator.end_rows) for name, operator in self.operators.items())
            return
        self._give(source.name, 0, batch)
        await self.settle()
        await self.run(self._due(int(batch.offsets[-1])))

    async def advance(self) -> None:
        """Time has moved without a record."""
        self._yielded_s = perf_counter()
        for name, operator in self.operators.items():
            self._stack.append((name, operator.advance))
            await self.settle()
        await self.run(self._due(None))

    async def run(self, calls: Iterator[tuple[str, Work]]) -> int:
        """Work of steps, one after the other, each to the end of every branch; how many there were."""
        count = 0
        for name, work in calls:
            self._stack.append((name, work))
            await self.settle()
            count += 1
        return count

    async def flush(self) -> None:
        """What a commit is to emit, parents first."""
        self._yielded_s = perf_counter()
        for name, operator in self.operators.items():
            self._stack.append((name, operator.flush))
            await self.settle()

    async def settle(self) -> None:
        """Works until nothing is left to do; the event loop is let run now and then."""
        while self._stack:
            name, work = self._stack.pop()
            try:
                batch = work()
            except Blocked as blocked:
                self._stack.append((name, blocked.resume))
                await blocked.awaitable
                continue
            if batch is not None and len(batch):
                self._hand_on(name, batch)
            if perf_counter() - self._yielded_s > TURN_S:
                await asyncio.sleep(0)
                self._yielded_s = perf_counter()

    def run_within(self, name: str, batch: Batch) -> None:
        """Hands a batch on in the middle of the work of a step, to the end of every branch.

        Raises TopologyError where a step behind would wait, as nobody can wait in the middle of a call.
        """
        outer, self._stack = self._stack, []
        self._hand_on(name, batch)
        del self._stack[0]  # what is left of the step's answer: there is none yet
        try:
            while self._stack:
                step, work = self._stack.pop()
                answer = self._without_waiting(step, work)
                if answer is not None and len(answer):
                    self._hand_on(step, answer)
        finally:
            self._stack = outer

    def _without_waiting(self, step: str, work: Work) -> Batch | None:
        try:
            return work()
        except Blocked as blocked:
            if inspect.iscoroutine(blocked.awaitable):
                blocked.awaitable.close()
            raise TopologyError(
                f"{step} would wait in the middle of a call of a processor that shares a store with it. Give it a "
                "policy without retry, or, if it is an agent, a topic between the two"
            ) from None

    def _hand_on(self, name: str, batch: Batch) -> None:
        self._stack.append((name, self.operators[name].more))
        only = self.operators[name].only_child
        rows = range(len(batch)) if self._by_row else (None,)
        for row in reversed(rows):
            # One after the other, each to the end of every branch, as if the step had made them one by one.
            part = batch if row is None else batch[row : row + 1]
            for child, side in reversed(self._children[name]):
                if only is None or child.name == only:
                    self._give(child.name, side, part)

    def _give(self, name: str, side: int, batch: Batch) -> None:
        operator = self.operators[name]
        self._stack.append((name, lambda: operator.take(side, batch)))
