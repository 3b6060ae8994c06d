"""The executor: branches depth-first in the order declared, waits that keep their place, one row at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.batch import Batch
from streams.graph.nodes import Node
from streams.graph.plan import SubTopology
from streams.operators.base import Blocked
from streams.runtime import executor as executor_module
from streams.runtime.executor import Executor

Seen = list[tuple[str, Any]]


class Step:
    """Notes what it is given; hands on `answer(values)`, the same unless told otherwise."""

    def __init__(self, name: str, seen: Seen, answer: Callable[[list[Any]], Any] | None = None) -> None:
        self.name, self.seen, self.answer = name, seen, answer or (lambda values: values)
        self.rest: list[list[Any]] = []
        self.moved: list[Any] = []
        self.held: list[Any] = []
        self.only_child: str | None = None

    def take(self, side: int, batch: Batch) -> Batch | None:
        self.seen.append((self.name, batch.values))
        return as_batch(self.answer(batch.values))

    def more(self) -> Batch | None:
        return as_batch(self.rest.pop(0)) if self.rest else None

    def advance(self) -> Batch | None:
        return as_batch(self.moved.pop(0)) if self.moved else None

    def end_rows(self) -> Batch | None:
        return None

    def flush(self) -> Batch | None:
        self.seen.append((self.name, "flush"))
        return as_batch(self.held.pop(0)) if self.held else None


def as_batch(values: list[Any] | None) -> Batch | None:
    return None if values is None else Batch.of([("k", value) for value in values])


class Bench:
    """source -> left -> leaf, source -> right; with `rows` one record at a time."""

    def __init__(self, *, by_row: bool = False) -> None:
        app = streams.App("bench")
        source = app.topic("numbers").stream()
        source.map_values(str, name="left").peek(print, name="leaf")
        source.map_values(str, name="right")
        (self.sub,) = app.plan().subtopologies
        self.sub.row_reason = "a test" if by_row else None
        self.seen: Seen = []
        self.rows: list[Any] = []
        self.steps = {node.name: Step(node.name, self.seen) for node in self.sub.nodes}
        self.executor = Executor(self.sub, self.steps, lambda row: self.rows.append(row.values[0]))  # type: ignore[arg-type]
        self.source: Node = self.sub.nodes[0]

    async def push(self, *values: Any) -> Seen:
        await self.executor.push(self.source, Batch.of([("k", value) for value in values]))
        return self.seen


async def test_one_branch_to_its_end_before_the_next_in_the_order_declared() -> None:
    assert await Bench().push(1, 2) == [
        ("numbers-source", [1, 2]),
        ("left", [1, 2]),
        ("leaf", [1, 2]),
        ("right", [1, 2]),
    ]


async def test_one_record_at_a_time_where_the_plan_says_so() -> None:
    made = Bench(by_row=True)
    assert await made.push(1, 2) == [
        *[("numbers-source", [1]), ("left", [1]), ("leaf", [1]), ("right", [1])],
        *[("numbers-source", [2]), ("left", [2]), ("leaf", [2]), ("right", [2])],
    ]
    assert made.rows == [1, 2]


@pytest.mark.parametrize("nothing", [None, []])
async def test_nothing_is_not_handed_on(nothing: Any) -> None:
    made = Bench()
    made.steps["left"].answer = lambda values: nothing
    assert [name for name, _ in await made.push(1)] == ["numbers-source", "left", "right"]


async def test_what_is_left_of_an_answer_comes_before_the_next_branch() -> None:
    made = Bench()
    made.steps["left"].rest = [[2], [3]]
    assert await made.push(1) == [
        *[("numbers-source", [1]), ("left", [1]), ("leaf", [1]), ("leaf", [2]), ("leaf", [3])],
        ("right", [1]),
    ]


async def test_a_step_that_waits_keeps_its_place() -> None:
    made = Bench()
    gate = asyncio.Event()
    calls: list[str] = []

    def wait_twice(values: list[Any]) -> Any:
        raise Blocked(gate.wait(), lambda: again(values))

    def again(values: list[Any]) -> Any:
        calls.append("again")
        if len(calls) == 1:
            raise Blocked(asyncio.sleep(0), lambda: again(values))
        return as_batch([value * 10 for value in values])

    made.steps["left"].answer = wait_twice
    pushing = asyncio.ensure_future(made.push(1, 2))
    await asyncio.sleep(0)
    assert [name for name, _ in made.seen] == ["numbers-source", "left"]
    gate.set()
    assert await pushing == [("numbers-source", [1, 2]), ("left", [1, 2]), ("leaf", [10, 20]), ("right", [1, 2])]
    assert calls == ["again", "again"]


async def test_what_a_step_raises_comes_out() -> None:
    made = Bench()

    def fail(values: list[Any]) -> Any:
        raise ValueError("broken")

    made.steps["leaf"].answer = fail
    with pytest.raises(ValueError, match="broken"):
        await made.push(1)


async def test_flush_goes_parents_first_so_that_what_a_parent_emits_is_in_what_its_children_hold() -> None:
    made = Bench()
    made.steps["left"].held = [[7]]
    made.steps["leaf"].held = [[8]]
    await made.executor.flush()
    assert made.seen == [
        ("numbers-source", "flush"),
        *[("left", "flush"), ("leaf", [7])],
        *[("leaf", "flush"), ("right", "flush")],
    ]


async def test_when_time_moves_every_step_is_told() -> None:
    made = Bench()
    made.steps["left"].moved = [[7]]
    await made.executor.advance()
    assert made.seen == [("leaf", [7])]


@pytest.mark.parametrize("by_row", [False, True])
async def test_the_event_loop_is_let_run_when_work_takes_long(monkeypatch: pytest.MonkeyPatch, by_row: bool) -> None:
    """Each step costs the injected clock a little; between two turns of the loop no more than a turn's worth."""
    clock = [0.0]
    monkeypatch.setattr(executor_module, "perf_counter", lambda: clock[0])
    made = Bench(by_row=by_row)
    stalls: list[float] = []
    spent = [0.0]

    def slow(values: list[Any]) -> list[Any]:
        clock[0] += 0.004
        spent[0] += 0.004
        return values

    async def beat() -> None:
        while True:
            await asyncio.sleep(0)
            stalls.append(spent[0])
            spent[0] = 0.0

    made.steps["left"].rest = [] if by_row else [[n] for n in range(50)]
    made.steps["leaf"].answer = slow
    beating = asyncio.ensure_future(beat())
    await asyncio.sleep(0)
    await made.push(*range(51 if by_row else 1))
    beating.cancel()
    assert sum(stalls) + spent[0] == pytest.approx(51 * 0.004)
    assert max(stalls) <= executor_module.TURN_S + 0.004


def test_a_sub_topology_knows_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Bench()
    assert isinstance(made.sub, SubTopology)
    assert [node.name for node, _ in made.sub.children(made.source)] == ["left", "right"]
