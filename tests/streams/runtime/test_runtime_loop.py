"""The loop of a worker: when it commits, what it fetches, when it ends."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

import streams
from streams.runtime import loop as loop_module
from streams.runtime.loop import Loop
from streams.runtime.observer import Silent, Stopped
from streams.runtime.worker import Worker
from streams.transport.contract import TopicPartition


class FakeTask:
    """Has runs of records; notes what becomes of them."""

    def __init__(self, runs: list[int], *, bound: int = 10**9) -> None:
        self.runs = runs
        self.uncommitted = 0
        self.bound = bound
        self.stores = self
        self.outputs = self
        self.pending_records = 0
        self.pending = None
        self.context = SimpleNamespace(commit_asked=False)
        self.asked = 0
        self.has_agents = False

    async def turn(self) -> int:
        done = self.runs.pop(0) if self.runs else 0
        self.uncommitted += done
        return done

    def over_bound(self) -> bool:
        return self.uncommitted >= self.bound

    def wants(self) -> list[Any]:
        return []


class NoGlobals:
    """An app without global tables."""

    positions: ClassVar[dict[Any, int]] = {}

    def __init__(self) -> None:
        self.stores = self

    def over_bound(self) -> bool:
        return False

    async def save(self) -> None: ...


class FakeAssembly:
    """What the loop asks of an assembly, with the commits in a list."""

    def __init__(
        self, tasks: list[FakeTask], *, interval_ms: int = 1_000, cost_s: float = 0.0, answer_s: float = 0.0
    ) -> None:
        self.tasks = tasks
        self.sharing = SimpleNamespace(due=False)
        self.is_open = False
        self.globals = NoGlobals()
        self.ingests: list[Any] = []
        self.asking: set[str] = set()
        self.is_asked = False
        self.settings = streams.App("loop", commit_interval_ms=interval_ms).settings
        self.woken = asyncio.Event()
        self.commit = self
        self.input = self
        self.commits: list[int] = []
        self.records = 0
        self.cost_s = cost_s
        self.answer_s = answer_s
        self.clock = Clock()

    def has_news(self) -> bool:
        return any(task.uncommitted for task in self.tasks)

    async def run(self) -> None:
        self.commits.append(sum(task.uncommitted for task in self.tasks))
        for task in self.tasks:
            task.uncommitted = 0
        self.clock.now_s += self.cost_s + self.answer_s
        self.clock.work_s += self.cost_s

    async def purge(self) -> None: ...

    def totals(self) -> Any:
        return Stopped("end", 0, len(self.commits), 0.0)

    def until_due_s(self) -> float:
        return math.inf

    def collecting_s(self) -> float:
        return 0.0

    def at_end(self) -> bool:
        return not any(task.runs for task in self.tasks)

    async def expects_more(self) -> bool:
        return False


class Clock:
    """`time` as the loop uses it: it moves when told, and when the loop waits."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.work_s = 0.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def thread_time(self) -> float:
        return self.work_s


def loop_over(
    assembly: FakeAssembly, monkeypatch: pytest.MonkeyPatch, *, until_end: bool = True
) -> tuple[Loop, asyncio.Event]:
    monkeypatch.setattr(loop_module, "time", assembly.clock)
    stopping = asyncio.Event()
    made = Loop(assembly, stopping, until_end=until_end, progress=lambda records, rate: None)  # type: ignore[arg-type]

    async def wait(seconds: float) -> None:
        assembly.clock.waits.append(seconds)
        assembly.clock.now_s += seconds
        if len(assembly.clock.waits) > 20:
            stopping.set()

    monkeypatch.setattr(made, "_wait", wait)
    monkeypatch.setattr(made, "_pause", wait)
    return made, stopping


async def test_it_commits_at_once_when_the_input_is_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    assembly = FakeAssembly([FakeTask([5, 5])])
    made, _ = loop_over(assembly, monkeypatch)
    assert await made.run() == "end"
    assert assembly.commits == [10]
    assert assembly.clock.waits == []


async def test_it_commits_at_the_latest_after_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    assembly = FakeAssembly([FakeTask([1] * 10)])
    task = assembly.tasks[0]
    turn = task.turn

    async def slow_turn() -> int:
        assembly.clock.now_s += 0.3
        return await turn()

    monkeypatch.setattr(task, "turn", slow_turn)
    made, _ = loop_over(assembly, monkeypatch)
    await made.run()
    assert assembly.commits == [4, 4, 2]


async def test_a_commit_that_is_due_is_put_off_once_for_those_who_collect(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is always a list that begins to fill: it does not put the commit off any further."""
    assembly = FakeAssembly([FakeTask([1] * 10)])
    task = assembly.tasks[0]
    turn = task.turn

    async def slow_turn() -> int:
        assembly.clock.now_s += 0.3
        return await turn()

    monkeypatch.setattr(task, "turn", slow_turn)
    monkeypatch.setattr(assembly, "collecting_s", lambda: 0.7)
    made, _ = loop_over(assembly, monkeypatch)
    await made.run()
    assert assembly.commits == [7, 3]


async def test_too_much_uncommitted_forces_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    assembly = FakeAssembly([FakeTask([1] * 7, bound=3)])
    made, _ = loop_over(assembly, monkeypatch)
    await made.run()
    assert assembly.commits == [3, 3, 1]


@pytest.mark.parametrize(("cost_s", "answer_s", "gap_s"), [(0.02, 0.0, 0.06), (0.02, 0.1, 0.16), (0.0, 0.1, 0.1)])
async def test_costly_commits_leave_time_for_others(
    cost_s: float, answer_s: float, gap_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drained input is committed at once, unless commits already take half a processor. That a broker takes long to
    answer costs nothing."""
    assembly = FakeAssembly([FakeTask([])], cost_s=cost_s, answer_s=answer_s)
    task = assembly.tasks[0]
    made, stopping = loop_over(assembly, monkeypatch, until_end=False)
    commits_s: list[float] = []
    run = assembly.run

    async def noted() -> None:
        await run()
        commits_s.append(assembly.clock.now_s)
        if len(commits_s) == 5:
            stopping.set()
        task.runs.append(1)  # there is always a record more

    monkeypatch.setattr(assembly, "run", noted)
    task.runs.append(1)
    await made.run()
    gaps = [round(b - a, 3) for a, b in pairwise(commits_s)]
    assert gaps[:3] == [gap_s] * 3


async def test_a_stop_commits_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    assembly = FakeAssembly([FakeTask([1] * 100)])
    made, stopping = loop_over(assembly, monkeypatch, until_end=False)
    turn = assembly.tasks[0].turn

    async def stopping_turn() -> int:
        if len(assembly.tasks[0].runs) == 96:
            stopping.set()
        return await turn()

    monkeypatch.setattr(assembly.tasks[0], "turn", stopping_turn)
    assert await made.run() == "signal"
    assert assembly.commits == [5]


async def test_between_two_turns_the_event_loop_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many tasks, each with a turn of the clock's ten milliseconds: nobody else waits for all of them."""
    tasks = [FakeTask([1]) for _ in range(20)]
    assembly = FakeAssembly(tasks)
    worked: list[int] = []
    beats: list[int] = []

    for task in tasks:

        async def slow(turn: Callable[[], Any] = task.turn) -> int:
            assembly.clock.now_s += 0.01
            worked.append(1)
            return await turn()

        monkeypatch.setattr(task, "turn", slow)

    async def beat() -> None:
        while True:
            beats.append(len(worked))
            await asyncio.sleep(0)

    made, _ = loop_over(assembly, monkeypatch)
    beating = asyncio.ensure_future(beat())
    await asyncio.sleep(0)
    await made.run()
    beating.cancel()
    assert max(after - before for before, after in pairwise(beats)) <= 2


async def test_only_partitions_without_data_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in a task holds up the fetch of its partition, and of no other."""

    class Queue:
        def __init__(self, topic: str) -> None:
            self.tp, self.fetch_offset = TopicPartition(topic, 0), 7

    class Broker:
        def __init__(self) -> None:
            self.asked: list[dict[TopicPartition, int]] = []

        async def fetch(self, positions: dict[TopicPartition, int], *, wait_ms: int) -> list[Any]:
            self.asked.append(positions)
            return []

    busy, idle = FakeTask([1, 1, 1]), FakeTask([])
    assembly = FakeAssembly([busy, idle])
    assembly.transport = Broker()  # type: ignore[attr-defined]
    monkeypatch.setattr(idle, "wants", lambda: [Queue("idle")])
    monkeypatch.setattr(busy, "wants", lambda: [] if busy.runs else [Queue("busy")])
    made, _ = loop_over(assembly, monkeypatch)
    await made.run()
    asked = [sorted(tp.topic for tp in positions) for positions in assembly.transport.asked]  # type: ignore[attr-defined]
    assert asked[:4] == [["idle"], ["idle"], ["idle"], ["busy", "idle"]]


async def test_sources_feed_when_the_tasks_have_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    class Source:
        outputs = FakeTask([])

        async def turn(self) -> int:
            order.append("source")
            return 0

    assembly = FakeAssembly([FakeTask([1, 1])])
    assembly.ingests = [Source()]
    turn = assembly.tasks[0].turn

    async def noted() -> int:
        order.append("task")
        return await turn()

    monkeypatch.setattr(assembly.tasks[0], "turn", noted)
    made, _ = loop_over(assembly, monkeypatch)
    await made.run()
    assert order[:4] == ["task", "task", "task", "source"]


# -- on the real engine


async def test_until_end_goes_as_far_as_others_had_written_at_the_start(folder: str) -> None:
    """And to the end of what the app itself writes, its sources included."""
    app = streams.App("ends", data_dir=folder)
    outside = app.topic("outside", key_type=str, value_type=int, partitions=2)
    own = app.topic("own", key_type=str, value_type=int, partitions=2)
    seen: list[Any] = []

    @app.source(own)
    def rows() -> Iterator[Any]:
        for n in range(500):
            yield f"k{n}", n

    outside.stream().merge(own.stream()).group_by(lambda key, value: key, name="moved").count(name="n")
    own.stream().for_each(seen.append)

    async with app.client() as client:
        await client.send_many("outside", [(f"k{n}", n) for n in range(40)])
        stopped = await Worker(app, Silent(), until_end=True).run()
        assert (stopped.reason, stopped.records) == ("end", 540)
        assert sorted(seen) == list(range(500))
        counts = [count async for _, count in client.table("n").items()]
        assert len(counts) == 500 and sum(counts) == 540
        again = await Worker(app, Silent(), until_end=True).run()
        assert again.reason == "end"


async def test_an_empty_app_ends_at_once(folder: str) -> None:
    app = streams.App("empty", data_dir=folder)
    app.topic("nothing").stream().for_each(print)
    stopped = await Worker(app, Silent(), until_end=True).run()
    assert (stopped.reason, stopped.records, stopped.commits) == ("end", 0, 0)


async def test_it_waits_for_an_async_source_and_goes_on_without_being_asked(folder: str) -> None:
    app = streams.App("later", data_dir=folder)
    numbers = app.topic("numbers", value_type=int)
    gate, seen = asyncio.Event(), list[int]()

    @app.source(numbers)
    async def rows() -> AsyncIterator[int]:
        yield 1
        await gate.wait()
        yield 2

    @app.agent(numbers)
    async def watch(stream: Any) -> None:
        async for value in stream:
            seen.append(value)
            gate.set()

    stopped = await asyncio.wait_for(Worker(app, Silent(), until_end=True).run(), 30)
    assert (stopped.reason, seen) == ("end", [1, 2])


async def test_it_processes_what_is_sent_while_it_runs(folder: str) -> None:
    app = streams.App("live", data_dir=folder)
    numbers = app.topic("numbers", key_type=str, value_type=int)
    numbers.stream().map_values(lambda v: v * 10).to("out")
    worker = Worker(app, Silent())
    running = asyncio.ensure_future(worker.run())
    async with app.client() as client:
        found = client.read("out", follow=True)
        for n in range(3):
            await client.send("numbers", key="k", value=n)
            record = await asyncio.wait_for(anext(found), 30)
            assert record.value == n * 10
        await found.aclose()
    worker.stop()
    stopped = await running
    assert (stopped.reason, stopped.records) == ("signal", 3)


async def test_a_table_beside_a_larger_topic(folder: str) -> None:
    """Tasks beyond the table's partitions have nothing of it, and miss nothing."""
    app = streams.App("beside", data_dir=folder)
    planes = app.topic("planes", key_type=str, value_type=int, partitions=1)
    flights = app.topic("flights", key_type=str, value_type=int, partitions=3)
    planes.table().to_stream().merge(flights.stream()).to("out")
    async with app.client() as client:
        await client.send_many("planes", [("p", n) for n in range(2)])
        await client.send_many("flights", [(f"f{n}", n) for n in range(9)])
        for _ in range(2):
            await Worker(app, Silent(), until_end=True).run()
        assert len([record async for record in client.read("out")]) == 11


async def test_what_was_processed_is_removed_from_repartition_topics(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streams.runtime import assembly as assembly_module

    monkeypatch.setattr(assembly_module, "PURGE_RECORDS", 10)
    app = streams.App("purge", data_dir=folder)
    numbers = app.topic("numbers", key_type=str, value_type=int)
    numbers.stream().repartition(name="moved").for_each(lambda value: None)
    async with app.client() as client:
        await client.send_many("numbers", [("k", n) for n in range(50)])
        await Worker(app, Silent(), until_end=True).run()
        assert client._transport is not None
        (earliest,) = (await client._transport.earliest([TopicPartition("purge-moved-repartition", 0)])).values()
        assert earliest >= 50


class OnOrder:
    """Lets a loop end when it has been asked so often."""

    def __init__(self, times: int) -> None:
        self.moved: list[int] = []
        self.times = times

    def begin(self, wake: Callable[[], object]) -> None: ...

    def reached(self, moved: int) -> bool:
        self.moved.append(moved)
        return len(self.moved) == self.times


async def test_one_of_several_ends_when_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assembly = FakeAssembly([FakeTask([5])])
    made, _ = loop_over(assembly, monkeypatch)
    end = OnOrder(times=3)
    monkeypatch.setattr(made, "_end", end)
    assert await made.run() == "end"
    assert end.moved == [1, 1, 1]  # commits: it is asked when what there was is committed
    assert len(assembly.clock.waits) == 2
