"""Timers, tasks and `app.send` beside the loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.app import AtWork
from streams.errors import StreamsError, TopologyError, UserCodeError
from streams.operators.outputs import Outputs
from streams.runtime import background
from streams.runtime.background import Background
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker


async def test_tasks_are_started_once_and_cancelled_at_the_end() -> None:
    app = streams.App("beside")
    seen: list[str] = []

    @app.task
    async def waits() -> None:
        seen.append("begins")
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")

    @app.task
    def plain() -> None:
        seen.append("plain")

    app.task(functools.partial(seen.append, "partial"))
    async with Background(app, lambda: 0) as background:
        await asyncio.sleep(0)
        assert sorted(seen) == ["begins", "partial", "plain"]
        assert not background.failed.done()
    assert seen[-1] == "cancelled"
    assert background.failed.cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("is_async", [False, True])
async def test_the_first_that_fails_is_told_with_its_line(is_async: bool) -> None:
    app = streams.App("beside")

    def fails() -> None:
        raise OSError("no route")

    async def fails_later() -> None:
        await asyncio.sleep(0)
        raise OSError("no route")

    app.task(fails_later if is_async else fails)
    async with Background(app, lambda: 0) as background:
        error = await background.failed
    assert isinstance(error, UserCodeError)
    assert str(error).startswith(f"task {'fails_later' if is_async else 'fails'}: OSError: no route (")
    assert "test_runtime_background.py:" in str(error)


async def test_a_task_that_fails_ends_the_worker(folder: str) -> None:
    app = streams.App("beside", data_dir=folder)
    app.topic("numbers").stream().for_each(print)

    @app.task
    async def fails() -> None:
        raise OSError("no route")

    with pytest.raises(UserCodeError, match="task fails: OSError: no route"):
        await asyncio.wait_for(Worker(app, Silent()).run(), 30)


async def test_a_timer_that_fails_ends_the_worker(folder: str) -> None:
    app = streams.App("beside", data_dir=folder)
    app.topic("numbers").stream().for_each(print)

    @app.timer(0.001)
    def fails() -> None:
        raise OSError("no route")

    with pytest.raises(UserCodeError, match="timer fails: OSError: no route"):
        await asyncio.wait_for(Worker(app, Silent()).run(), 30)


# -- what one worker does for all


async def test_a_task_of_the_leader_begins_and_ends_with_leadership(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "LOOK_S", 0.001)
    app = streams.App("beside")
    leads, seen, told = False, list[str](), asyncio.Event()

    def tell(what: str) -> None:
        seen.append(what)
        told.set()

    @app.task(on_leader=True)
    async def leading() -> None:
        tell("begins")
        try:
            await asyncio.Event().wait()
        finally:
            tell("ends")

    async def move(to_here: bool) -> None:
        nonlocal leads
        leads = to_here
        await asyncio.wait_for(told.wait(), 10)
        told.clear()

    outputs = Outputs(lambda topic: 1, lambda topic: "none")
    app.worker = AtWork(outputs, list, lambda: 0, is_leader=lambda: leads)
    async with Background(app, lambda: 0):
        await asyncio.sleep(0.01)
        assert seen == []
        for here in (True, False, True):
            await move(here)
        assert seen == ["begins", "ends", "begins"]
    assert seen == ["begins", "ends", "begins", "ends"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_task_of_the_leader_that_fails_ends_the_worker(folder: str) -> None:
    app = streams.App("beside", data_dir=folder)
    app.topic("numbers").stream().for_each(print)

    @app.task(on_leader=True)
    async def fails() -> None:
        assert app.is_leader()
        raise OSError("no route")

    with pytest.raises(UserCodeError, match="task fails: OSError: no route"):
        await asyncio.wait_for(Worker(app, Silent()).run(), 30)


# -- app.send


def sender(folder: str) -> tuple[streams.App, Any]:
    app = streams.App("sends", data_dir=folder)
    numbers = app.topic("numbers", key_type=str, value_type=int)
    return app, numbers


SENDS: dict[str, Callable[[streams.App, Any], Any]] = {
    "app and topic": lambda app, topic: app.send(topic, key="k", value=7, timestamp=5, headers=[("h", b"1")]),
    "app and name": lambda app, topic: app.send("numbers", key="k", value=7, timestamp=5, headers=[("h", b"1")]),
    "topic": lambda app, topic: topic.send("k", 7, timestamp=5, headers=[("h", b"1")]),
    "topic, by name": lambda app, topic: topic.send(key="k", value=7, timestamp=5, headers=[("h", b"1")]),
}


@pytest.mark.parametrize("form", SENDS)
async def test_what_a_task_sends_goes_into_the_workers_transaction(folder: str, form: str) -> None:
    app, numbers = sender(folder)
    seen: list[Any] = []
    numbers.stream().for_each(lambda value, ctx: seen.append((value, ctx.timestamp, [tuple(h) for h in ctx.headers])))
    worker = Worker(app, Silent())

    @app.task
    async def send_one() -> None:
        await SENDS[form](app, numbers)

    running = asyncio.ensure_future(worker.run())
    async with app.client() as client:
        record = await asyncio.wait_for(anext(client.read("numbers", follow=True)), 30)
    worker.stop()
    await running
    assert (record.key, record.value, record.timestamp, list(record.headers)) == ("k", 7, 5, [("h", b"1")])
    assert seen in ([(7, 5, [("h", b"1")])], [])  # it may have been stopped before


async def test_an_idle_worker_is_told_of_what_is_sent() -> None:
    app, numbers = sender("nowhere")
    told: list[str] = []
    outputs = Outputs(lambda topic: 1, lambda topic: "none")
    app.worker = AtWork(outputs, list, lambda: 77, lambda: told.append("woken"))
    await numbers.send("k", 1)
    assert (told, outputs.pending_records) == (["woken"], 1)


async def test_outside_a_worker_it_says_what_to_use(folder: str) -> None:
    app, numbers = sender(folder)
    with pytest.raises(StreamsError, match=r"no worker runs 'sends' in this process.*app.client\(\)"):
        await numbers.send("k", 1)
    await Worker(app, Silent(), until_end=True).run()
    with pytest.raises(StreamsError, match="no worker runs 'sends'"):
        await app.send(numbers, key="k", value=1)


async def test_to_a_topic_that_the_app_does_not_declare(folder: str) -> None:
    app, numbers = sender(folder)
    numbers.stream().for_each(print)

    @app.task
    async def send_astray() -> None:
        await app.send("elsewhere", value=1)

    with pytest.raises(UserCodeError) as caught:
        await asyncio.wait_for(Worker(app, Silent()).run(), 30)
    assert isinstance(caught.value.cause, TopologyError)
    assert "add app.topic('elsewhere')" in str(caught.value)
