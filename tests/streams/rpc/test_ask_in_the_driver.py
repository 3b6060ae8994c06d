"""Requests in virtual time, and that each has its own answer whatever crashes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streams
from streams.errors import AgentFailedError, AskTimeoutError, NoReplyError, StreamsError
from streams.policies import skip
from streams.testing import Driver


def shop(**options: Any) -> streams.App:
    app = streams.App("shop", on_error=skip(), **options)
    orders = app.topic("orders", key_type=str, value_type=int)
    sold = app.topic("sold", key_type=str, value_type=int)
    total = app.Table("total", key_type=str, value_type=int, default=int)

    @app.agent(name="add")
    async def add(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for key, number in stream.items():
            total[key] += number
            if number == 13:
                raise ValueError(number)
            if number != 0:
                yield total[key]

    @app.agent(name="slow")
    async def slow(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for number in stream:
            await asyncio.sleep(number)
            yield number

    @app.agent(orders, sink=[sold], name="sell")
    async def sell(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for key, number in stream.items():
            yield await add.ask(number, key=key)

    return app


def test_the_driver_asks() -> None:
    with Driver(shop()) as driver:
        assert driver.ask("add", 2, key="a") == 2
        assert driver.ask("add", 3, key="a") == 5
        with pytest.raises(AgentFailedError, match="ValueError: 13"):
            driver.ask("add", 13, key="a")
        with pytest.raises(NoReplyError):
            driver.ask("add", 0, key="a")
        assert driver.table("total").get("a") == 5
        with pytest.raises(StreamsError, match=r"no agent 'ad'. Did you mean 'add'"):
            driver.ask("ad", 0)


def test_time_goes_on_as_far_as_an_answer_takes() -> None:
    with Driver(shop()) as driver:
        assert driver.ask("slow", 20) == 20
        assert driver.clock.now_ms == 20_000
        with pytest.raises(AskTimeoutError):
            driver.ask("slow", 40)
        assert driver.ask("slow", 40, timeout="1h") == 40


def test_agents_that_ask_are_processed_to_the_end() -> None:
    with Driver(shop()) as driver:
        driver.pipe("orders", [("a", 1), ("b", 5), ("a", 1)])
        assert [record[:2] for record in driver.read("sold")] == [("a", 1), ("b", 5), ("a", 2)]
        assert dict(driver.table("total").items()) == {"a": 2, "b": 5}


def test_timers_and_tasks_ask() -> None:
    app = shop()
    add = app.agents[0]
    seen: list[int] = []

    @app.timer("1h")
    async def hourly() -> None:
        seen.append(await add.ask(10, key="t") + await add.ask(100, key="t"))

    @app.task
    async def at_first() -> None:
        seen.append(await add.ask(1, key="t"))
        seen.append(await add.ask(1, key="t"))

    with Driver(app) as driver:
        assert seen == [1, 2]
        driver.advance("2h")
        assert seen == [1, 2, 12 + 112, 122 + 222]
        assert driver.table("total").get("t") == 222


STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "repeat", "crash", "commit", "pipe"]), st.sampled_from("abc"), st.integers(1, 9)),
    max_size=14,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_each_has_its_own_answer_or_none(steps: list[tuple[str, str, int]]) -> None:
    """Requests are put into the topic again, as by a producer that repeats, and the worker crashes in between: a table
    counts what is in the topic exactly, and nobody gets what another was answered.
    """
    app = streams.App("echo")
    seen = app.Table("seen", key_type=str, value_type=int, default=int)

    @app.agent(app.topic("echo", key_type=str, value_type=list[Any]), tables=[seen])
    async def echo(stream: streams.Stream[list[Any]]) -> AsyncIterator[list[Any]]:
        async for key, value in stream.items():
            seen[key] += value[1]
            yield [*value, seen[key]]

    expected: dict[str, int] = {}
    with Driver(app) as driver:
        for number, (what, key, amount) in enumerate(steps):
            if what == "ask":
                expected[key] = expected.get(key, 0) + amount
                assert driver.ask(echo, [number, amount], key=key) == [number, amount, expected[key]]
            elif what == "repeat" and (requests := [r for r in driver_records(driver) if r.headers]):
                again = requests[amount % len(requests)]
                expected[again.key] += again.value[1]
                driver.pipe("echo", [again])
            elif what == "crash":
                expected["x"] = expected.get("x", 0) + amount
                driver.pipe("echo", key="x", value=[number, amount], commit=False)
                driver.crash()
                driver.restart()
            elif what == "commit":
                driver.commit()
            elif what == "pipe":
                expected[key] = expected.get(key, 0) + amount
                driver.pipe("echo", key=key, value=[number, amount])
        assert dict(driver.table("seen").items()) == expected


def driver_records(driver: Driver) -> list[Any]:
    driver._positions.pop("echo", None)
    return driver.read("echo")
