"""Sources on a bench: what a generator may yield, how long a turn is, and that async ones hold nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

import streams
from broker_embedded import records
from streams.errors import StreamsError, UserCodeError
from streams.graph.nodes import Node
from streams.operators.encoding import RecordEncoder
from streams.operators.failures import Failures
from streams.operators.outputs import Outputs
from streams.policies import Policy
from streams.runtime import ingest as ingest_module
from streams.runtime.ingest import Ingest
from streams.sources import Position

NOW = 1_000


class Click(streams.Record):
    user: str
    at: streams.Timestamp | None = None


class Pair(NamedTuple):
    left: int
    right: int


class IngestBench:
    """A source of one app over outputs in memory."""

    def __init__(self, function: Callable[..., Any], value_type: Any = None, policy: Policy | None = None) -> None:
        app = streams.App("feed")
        app.source(app.topic("numbers", key_type=str, value_type=value_type), name="rows")(function)
        (source,) = app.sources
        self.outputs = Outputs(lambda topic: 1, lambda topic: "none")
        self.woken = 0
        self.failures = Failures(policy or streams.stop(), self.outputs, "dead")
        node = Node(name="rows", where=source.where)
        encoder = RecordEncoder(source.topic, node, self.outputs, self.failures)
        self.ingest = Ingest(source, self.outputs, encoder, "feed-rows-position", lambda: NOW, self._wake)

    def _wake(self) -> None:
        self.woken += 1

    async def run(self, position: Any = None) -> list[Any]:
        self.ingest.open(position)
        while not self.ingest.finished:
            await self.ingest.turn()
            await asyncio.sleep(0)
        return self.written()["numbers"]

    def written(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {"numbers": []}
        for tp, data, _ in self.outputs.drain():
            part = records.decode(memoryview(data))
            rows = zip(part.keys(), part.values(), part.timestamps.tolist(), strict=True)
            found.setdefault(tp.topic, []).extend(rows)
        return found


def yielding(*rows: Any) -> Callable[[], Iterator[Any]]:
    def source() -> Iterator[Any]:
        yield from rows

    return source


# -- what may be yielded


@pytest.mark.parametrize(
    ("row", "expected", "position"),
    [
        (7, (None, b"7", NOW), None),
        (("k", 7), (b"k", b"7", NOW), None),
        (("k", 7, 55), (b"k", b"7", 55), None),
        (("k", None), (b"k", None, NOW), None),
        ((None, 7), (None, b"7", NOW), None),
        (None, (None, None, NOW), None),
        ([1, 2], (None, b"[1,2]", NOW), None),
        ((Position(3), 7), (None, b"7", NOW), b"3"),
        ((Position(3), "k", 7), (b"k", b"7", NOW), b"3"),
        ((Position(3), "k", 7, 55), (b"k", b"7", 55), b"3"),
        ((Position({"file": "a", "line": 1}), "k", 7), (b"k", b"7", NOW), b'{"file":"a","line":1}'),
        (Pair(1, 2), (None, b"[1,2]", NOW), None),
        ((Position(3), Pair(1, 2)), (None, b"[1,2]", NOW), b"3"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("form", ["generator", "async generator", "list"])
async def test_what_may_be_yielded(form: str, row: Any, expected: Any, position: bytes | None) -> None:
    async def later() -> AsyncIterator[Any]:
        yield row

    function = {"generator": yielding(row), "async generator": later, "list": lambda: [row]}[form]
    made = IngestBench(function)
    assert await made.run() == [expected]
    assert made.ingest.records == 1
    made.ingest.prepare()
    kept = [(b"rows", position, NOW)] if position is not None else []
    assert made.written().get("feed-rows-position", []) == kept


@pytest.mark.parametrize("row", [(Position(9),), Position(9)], ids=repr)
async def test_a_position_alone_moves_it_without_a_record(row: Any) -> None:
    made = IngestBench(yielding(("k", 1), row))
    assert await made.run() == [(b"k", b"1", NOW)]
    assert made.ingest.has_news()
    made.ingest.prepare()
    assert made.written()["feed-rows-position"] == [(b"rows", b"9", NOW)]
    made.ingest.committed()
    assert not made.ingest.has_news()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("k", 1, 2, 3), r"rows \(.*test_runtime_ingest.py:\d+\): yield \[Position\(...\),\] key, value"),
        ((Position(1), "k", 1, 2, 3), "yield"),
        ((), "yield"),
        (("k", 1, 2.5), r"timestamp.*2\.5.*ms since 1970"),
        (("k", 1, "2024-01-01"), "timestamp.*'2024-01-01'"),
        (("k", 1, datetime(2024, 1, 1, tzinfo=UTC)), "timestamp.*datetime"),
        (("k", 1, True), "timestamp.*True"),
        (("k", 1, 2**63), "timestamp"),
    ],
    ids=repr,
)
async def test_what_may_not_be_yielded_is_told_at_its_line(row: Any, said: str) -> None:
    with pytest.raises(StreamsError, match=said) as caught:
        await IngestBench(yielding(row)).run()
    assert "test_runtime_ingest.py:" in str(caught.value)


@pytest.mark.parametrize("wrong", [lambda: None, lambda: 5], ids=["nothing", "a number"])
async def test_what_cannot_be_iterated_is_told_at_its_line(wrong: Any) -> None:
    with pytest.raises(StreamsError, match=r"rows \(.*test_runtime_ingest.py:\d+\).*generator") as caught:
        await IngestBench(wrong).run()
    assert "yield" in str(caught.value)


async def test_a_coroutine_function_is_told_to_yield() -> None:
    async def rows() -> list[int]:
        return [1]

    with pytest.raises(StreamsError, match=r"rows .*generator.*yield"):
        await IngestBench(rows).run()


@pytest.mark.parametrize("is_async", [False, True])
async def test_what_the_users_code_raises_is_told_with_its_line(is_async: bool) -> None:
    def rows() -> Iterator[int]:
        yield 1
        raise OSError("the file is gone")

    async def rows_later() -> AsyncIterator[int]:
        yield 1
        raise OSError("the file is gone")

    function = rows_later if is_async else rows
    with pytest.raises(UserCodeError, match=r"rows: OSError: the file is gone \(.*test_runtime_ingest.py:\d+ in rows"):
        await IngestBench(function).run()


async def test_what_the_call_itself_raises_is_told_too() -> None:
    def rows() -> Any:
        raise OSError("no such file")

    with pytest.raises(UserCodeError, match=r"rows: OSError: no such file \(.*test_runtime_ingest.py:\d+ in rows"):
        await IngestBench(rows).run()


async def test_a_value_that_does_not_fit_the_topic_is_the_policys_business() -> None:
    made = IngestBench(yielding(("k", 1), ("k", "x"), ("k", 3)), value_type=int, policy=streams.skip())
    assert await made.run() == [(b"k", b"1", NOW), (b"k", b"3", NOW)]
    assert made.failures.counts == {("rows", "skip"): 1}


# -- time


async def test_event_time_is_the_values_own_unless_one_is_yielded() -> None:
    rows = [("k", Click("a", 5)), ("k", Click("b"), 9), ("k", Click("c")), ("k", Click("d", 5), 6), ("k", None)]
    made = IngestBench(yielding(*rows), value_type=Click)
    assert [time for _, _, time in await made.run()] == [5, 9, NOW, 6, NOW]


# -- positions


async def test_the_position_is_handed_back() -> None:
    def rows(position: int = 0) -> Iterator[Any]:
        for n in range(position, 5):
            yield Position(n + 1), None, n

    assert [value for _, value, _ in await IngestBench(rows).run()] == [b"0", b"1", b"2", b"3", b"4"]
    made = IngestBench(rows)
    assert [value for _, value, _ in await made.run(3)] == [b"3", b"4"]
    made = IngestBench(rows)
    assert await made.run(5) == []
    assert not made.ingest.has_news()


async def test_a_function_that_takes_no_position_begins_anew() -> None:
    assert len(await IngestBench(yielding(1, 2)).run(7)) == 2


# -- turns


async def test_a_turn_is_cut_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row costs a millisecond of the injected clock, which is looked at every so many rows."""
    clock = [0.0]
    monkeypatch.setattr(ingest_module, "perf_counter", lambda: clock[0])

    def rows() -> Iterator[int]:
        for n in range(1_000):
            clock[0] += 0.001
            yield n

    made = IngestBench(rows)
    made.ingest.open(None)
    sizes = [await made.ingest.turn() for _ in range(3)]
    assert sizes == [64, 64, 64]


async def test_positions_without_records_do_not_hold_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that polls may yield nothing but positions for ever."""
    clock = [0.0]
    monkeypatch.setattr(ingest_module, "perf_counter", lambda: clock[0])

    def rows() -> Iterator[Any]:
        yield 1
        for n in range(10**6):
            clock[0] += 0.001
            yield Position(n)
        raise AssertionError("the turn was not cut")

    made = IngestBench(rows)
    made.ingest.open(None)
    assert await made.ingest.turn() == 1


async def test_an_async_source_without_rows_holds_nobody_up() -> None:
    gate = asyncio.Event()

    async def rows() -> AsyncIterator[int]:
        yield 1
        await gate.wait()
        yield 2

    made = IngestBench(rows)
    made.ingest.open(None)
    assert [await made.ingest.turn() for _ in range(3)] == [1, 0, 0]
    woken = made.woken
    gate.set()
    await asyncio.sleep(0.001)
    assert made.woken == woken + 1
    assert [await made.ingest.turn() for _ in range(3)] == [1, 0, 0]
    assert made.ingest.finished


@pytest.mark.parametrize("is_async", [False, True])
async def test_closing_lets_go_of_what_the_generator_holds(is_async: bool) -> None:
    closed: list[bool] = []

    def rows() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    async def rows_later() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    made = IngestBench(rows_later if is_async else rows)
    made.ingest.open(None)
    await made.ingest._next_row()
    await made.ingest.close()
    assert closed == [True]
    assert asyncio.all_tasks() == {asyncio.current_task()}
