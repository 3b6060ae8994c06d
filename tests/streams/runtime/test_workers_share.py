"""Several workers of an app: tasks go from one to the other at work, and what comes of it is what one would give."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import streams
from broker_embedded.errors import KafkaStorageError
from broker_embedded.faults import Fault, Faults
from streams.errors import ConfigError
from streams.runtime.membership import Membership
from streams.runtime.observer import Silent
from streams.runtime.restore import Restore
from streams.runtime.steps import REBALANCE_STEPS, on_step
from streams.runtime.worker import Worker
from streams.transport.contract import FencedError
from streams.transport.embedded.producer import EmbeddedProducer
from streams.transport.group.member import GroupMember, remove_members
from tests.streams.runtime.at_work import Running, until

KEYS = 23


def counting(folder: str, **settings: Any) -> streams.App:
    """A table, one behind a repartition, and an agent with a table."""
    app = streams.App("shares", data_dir=folder, **{"commit_interval_ms": 5, "heartbeat_interval_ms": 50, **settings})
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=4)
    by_key = app.topic("by-key", key_type=str, value_type=int, partitions=1)
    by_rest = app.topic("by-rest", key_type=str, value_type=int, partitions=1)
    numbers.stream().group_by_key().count(name="counts").emit("update").to_stream().to(by_key)
    moved = numbers.stream().group_by(lambda value: f"r{value % 7}", name="rest", key_type=str)
    moved.reduce(lambda total, value: total + value, name="totals").emit("update").to_stream().to(by_rest)
    return app


async def expel(member: Running) -> None:
    """Has the group give it up, as when it is not heard of for too long."""
    instance_id = member.membership.identity().instance_id or ""
    await remove_members(member.assembly.transport.asks, "shares", [instance_id])


async def send(app: streams.App, start: int, stop: int) -> None:
    async with app.client() as client:
        await client.send_many("numbers", [(f"k{n % KEYS}", n) for n in range(start, stop)])


async def results(app: streams.App, topic: str) -> dict[str, list[int]]:
    """What was written of each key, in order."""
    found: dict[str, list[int]] = {}
    async with app.client() as client:
        async for record in client.read(topic):
            found.setdefault(record.key, []).append(record.value)
    return found


async def processed(app: streams.App, total: int, *running: Running) -> None:
    async with asyncio.timeout(60):
        while sum(map(len, (await results(app, "by-rest")).values())) < total:
            for one in running:
                if one.ended.done():
                    one.ended.result()
            await asyncio.sleep(0.05)


async def check(app: streams.App, total: int) -> None:
    """Each number was counted once: of a key in order, of a rest in any order."""
    expected = {f"k{k}": list(range(1, len(range(k, total, KEYS)) + 1)) for k in range(KEYS)}
    assert await results(app, "by-key") == {key: rows for key, rows in expected.items() if rows}
    rests = await results(app, "by-rest")
    assert {key: rows[-1] for key, rows in rests.items()} == {f"r{r}": sum(range(r, total, 7)) for r in range(7)}
    assert sum(map(len, rests.values())) == total


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
async def test_a_second_worker_gets_its_share_and_gives_it_back(folder: str, guarantee: str) -> None:
    first = Running(counting(folder, processing_guarantee=guarantee))
    await until(lambda: len(first.tasks) == 8, first)
    await send(first.worker.app, 0, 200)
    second = Running(counting(folder, processing_guarantee=guarantee))
    await until(lambda: len(first.tasks) == len(second.tasks) == 4, first, second)
    assert not first.tasks & second.tasks
    await send(first.worker.app, 200, 400)
    await processed(first.worker.app, 400, first, second)
    await second.stop()
    await until(lambda: len(first.tasks) == 8, first)
    await send(first.worker.app, 400, 600)
    await processed(first.worker.app, 600, first)
    await first.stop()
    await check(counting(folder), 600)


@pytest.fixture
def at_step() -> Iterator[Callable[[str, int, Callable[[], object]], None]]:
    """`at_step(step, occurrence, act)`: calls `act` when a step is reached for that time from now, by whoever."""
    forget: list[Callable[[], None]] = []

    def when(step: str, occurrence: int, act: Callable[[], object]) -> None:
        left = [occurrence]

        def reached(one: str) -> None:
            if one == step:
                left[0] -= 1
                if left[0] == 0:
                    act()

        forget.append(on_step(reached))

    yield when
    for one in forget:
        one()


AtStep = Callable[[str, int, Callable[[], object]], None]


async def test_what_a_worker_that_was_given_up_has_on_the_way_is_never_seen(
    folder: str, at_step: AtStep, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the midst of a commit when the group gives it up, goes on as if nothing were, and is refused."""
    first = Running(counting(folder, session_timeout_ms=6_000))
    await until(lambda: len(first.tasks) == 8, first)
    await send(first.worker.app, 0, 100)
    await processed(first.worker.app, 100, first)
    second = Running(counting(folder))
    await until(lambda: len(first.tasks) == len(second.tasks) == 4, first, second)
    given_up: list[asyncio.Future[None]] = []
    for step in ("commit: send changelog", "commit: send offsets", "commit: end transaction"):
        at_step(step, 2, lambda: given_up.append(asyncio.ensure_future(expel(first))))
    await send(first.worker.app, 100, 400)
    await processed(first.worker.app, 400, first, second)
    assert len(given_up) == 3
    assert "going on from the last commit" in caplog.text
    await until(lambda: len(first.tasks) == len(second.tasks) == 4, first, second)
    await first.stop()
    await second.stop()
    await check(counting(folder), 400)


async def test_an_unknown_outcome_while_tasks_are_given_back(
    folder: str, at_step: AtStep, caplog: pytest.LogCaptureFixture
) -> None:
    first = Running(counting(folder))
    await until(lambda: len(first.tasks) == 8, first)
    await send(first.worker.app, 0, 200)

    def fail() -> None:
        transport = first.worker.assembly.transport  # type: ignore[union-attr]
        transport.cluster.faults = Faults()  # type: ignore[attr-defined]
        transport.cluster.faults.add(Fault(26, error=KafkaStorageError.info.code, times=1))  # type: ignore[attr-defined]

    at_step("revoke: commit", 1, fail)
    second = Running(counting(folder))
    await send(first.worker.app, 200, 400)
    await until(lambda: len(first.tasks) == len(second.tasks) == 4, first, second)
    await processed(first.worker.app, 400, first, second)
    assert "going on from the last commit" in caplog.text
    await first.stop()
    await second.stop()
    await check(counting(folder), 400)


async def test_another_process_in_its_seat_ends_a_worker_and_says_so(folder: str) -> None:
    first = Running(counting(folder))
    await until(lambda: len(first.tasks) == 8, first)
    membership = first.membership
    assembly = first.worker.assembly
    assert assembly is not None
    intruder = GroupMember(assembly.transport.asks, "shares", membership, instance_id=membership.identity().instance_id)
    running = asyncio.ensure_future(intruder.run())
    with pytest.raises(FencedError, match="another process has taken this seat"):
        await asyncio.wait_for(first.ended, 30)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("step", REBALANCE_STEPS)
@pytest.mark.parametrize("occurrence", [1, pytest.param(3, marks=pytest.mark.slow)])
async def test_a_crash_at_each_step_of_a_rebalance(
    folder: str, at_step: AtStep, step: str, occurrence: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes to the step first ends there as by kill -9, its transaction left open and its seat kept, and is
    started again in its seat.
    """

    async def nothing(self: Any, **_: Any) -> None: ...

    monkeypatch.setattr(EmbeddedProducer, "close", nothing)
    end = Membership.end
    monkeypatch.setattr(Membership, "end", lambda self, *, leave: end(self, leave=False))

    class DiedError(Exception):
        pass

    died: list[str] = []

    def die() -> None:
        died.append(step)
        raise DiedError

    first = Running(counting(folder))
    await until(lambda: len(first.tasks) == 8, first)
    await send(first.worker.app, 0, 200)
    at_step(step, occurrence, die)
    running = [first, Running(counting(folder))]
    for round_ in range(3):
        for place, one in enumerate(running):
            if one.ended.done():
                with pytest.raises(DiedError):
                    one.ended.result()
                running[place] = Running(counting(folder))
        await send(first.worker.app, 200 + round_ * 100, 300 + round_ * 100)
        async with asyncio.timeout(30):
            while not any(one.ended.done() for one in running) and [len(one.tasks) for one in running] != [4, 4]:
                await asyncio.sleep(0.01)
    running = [one for one in running if not one.ended.done()]
    running += [Running(counting(folder)) for _ in range(2 - len(running))]
    await processed(first.worker.app, 500, *running)
    for one in running:
        await one.stop()
    assert died or occurrence > 1
    await check(counting(folder), 500)


async def test_a_rebalance_while_a_restore_runs(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks that are being restored are given back at once, and the stop of a worker does not wait for them either."""
    first = Running(counting(folder, store="memory"))
    await until(lambda: len(first.tasks) == 8, first)
    await send(first.worker.app, 0, 300)
    await processed(first.worker.app, 300, first)
    gate, read = asyncio.Event(), Restore._read

    async def waits(self: Restore, behind: Any) -> None:
        await gate.wait()
        await read(self, behind)

    with monkeypatch.context() as patch:
        patch.setattr(Restore, "_read", waits)
        second = Running(counting(folder, store="memory"))
        await until(lambda: len(first.tasks) == 4, first, second)
        await send(first.worker.app, 300, 400)
        third = Running(counting(folder, store="memory"))
        await until(lambda: len(first.tasks) == 3, first, second, third)
        await second.stop()
        gate.set()
        await until(lambda: len(first.tasks) == len(third.tasks) == 4, first, third)
    await processed(first.worker.app, 400, first, third)
    await first.stop()
    await third.stop()
    await check(counting(folder), 400)


async def test_workers_of_two_event_loops(folder: str) -> None:
    """The second reaches the broker of the first over loopback."""
    first = Running(counting(folder))
    await until(lambda: len(first.tasks) == 8, first)
    other = Worker(counting(folder), Silent(), serves=False)
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        await other.run()

    running = asyncio.create_task(asyncio.to_thread(asyncio.run, run()))
    await send(first.worker.app, 0, 200)
    await until(lambda: len(first.tasks) == 4, first)
    await send(first.worker.app, 200, 400)
    await processed(first.worker.app, 400, first)
    assert other.assembly is not None
    assert len(other.assembly.tasks) == 4
    loops[0].call_soon_threadsafe(other.stop)
    await asyncio.wait_for(running, 30)
    await until(lambda: len(first.tasks) == 8, first)
    await first.stop()
    await check(counting(folder), 400)


async def test_a_restart_in_its_seat_moves_nothing(folder: str) -> None:
    for _ in range(2):  # the first time nobody knows that the folder outlives a process
        first, second = Running(counting(folder)), Running(counting(folder))
        await until(lambda: len(first.tasks) == len(second.tasks) == 4, first, second)  # noqa: B023
        if second.membership.stays:
            break
        await first.stop()
        await second.stop()
    generation, tasks = first.membership.identity().generation, second.tasks
    await send(first.worker.app, 0, 200)
    await second.stop()
    assert len(first.tasks) == 4
    again = Running(counting(folder))
    await until(lambda: again.tasks == tasks, first, again)
    await send(first.worker.app, 200, 400)
    await processed(first.worker.app, 400, first, again)
    assert again.membership.identity().generation == generation == first.membership.identity().generation
    await first.stop()
    await again.stop()
    await check(counting(folder), 400)


async def test_two_versions_of_an_app_side_by_side(folder: str) -> None:
    """The old one leads, and is given nothing that it does not know; when it is gone, the new one has all."""

    def renewed() -> streams.App:
        app = counting(folder)
        app.topic("more", key_type=str, value_type=int, partitions=2).stream().to(app.topic("copies", partitions=1))
        return app

    old = Running(counting(folder))
    await until(lambda: len(old.tasks) == 8, old)
    await send(old.worker.app, 0, 200)
    new = Running(renewed())
    await until(lambda: len(old.tasks) == len(new.tasks) == 4, old, new)
    await send(old.worker.app, 200, 300)
    await processed(old.worker.app, 300, old, new)
    await old.stop()
    await until(lambda: len(new.tasks) == 10, new)
    await new.stop()
    await check(counting(folder), 300)


@pytest.mark.slow
async def test_what_holds_up_the_event_loop_does_not_cost_the_membership(
    folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a worker whose broker is in its process: neither could do anything meanwhile."""
    app = counting(folder, session_timeout_ms=6_000, heartbeat_interval_ms=3_000)

    def slow(value: int) -> int:
        if value == 150:
            time.sleep(6.5)
        return value

    app.topics["numbers"].stream().map_values(slow, name="slow").to(app.topic("slow", value_type=int, partitions=1))
    worker = Running(app)
    await until(lambda: len(worker.tasks) == 8, worker)
    await send(app, 0, 300)
    await processed(app, 300, worker)
    await worker.stop()
    assert "going on from the last commit" not in caplog.text
    await check(counting(folder), 300)


async def test_heartbeats_come_more_often_than_a_session_ends(folder: str) -> None:
    app = counting(folder, session_timeout_ms=6_000, heartbeat_interval_ms=6_000)
    with pytest.raises(ConfigError, match="heartbeat_interval_ms=6000 is not less than session_timeout_ms=6000"):
        await Worker(app, Silent()).run()
