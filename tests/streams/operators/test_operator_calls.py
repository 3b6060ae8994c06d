"""Calls: what happens to a record while the user's function raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streams
from streams.operators.base import Blocked


async def test_a_record_is_tried_again_and_those_before_it_are_not(bench: Callable[..., Any]) -> None:
    calls: list[int] = []

    def shaky(value: int) -> int:
        calls.append(value)
        if value == 2 and calls.count(2) < 3:
            raise OSError("down")
        return value * 10

    made = bench(lambda s: s.map_values(shaky), policy=streams.retry(3, backoff="10ms"))
    batch = made.batch([("a", 1), ("b", 2), ("c", 3)])
    found = await made.wait(lambda: made.operator.process(batch))
    assert [row.value for row in found] == [10, 20, 30]
    assert calls == [1, 2, 2, 2, 3]
    assert made.waits == [0.01, 0.02]
    assert made.counts == {"retry": 2}


async def test_retries_are_counted_for_each_record_alone(bench: Callable[..., Any]) -> None:
    """Rows made of one record have its offset, and each has all its tries."""
    calls: list[int] = []

    def once_each(value: int) -> int:
        calls.append(value)
        if calls.count(value) <= 2:
            raise OSError("down")
        return value

    policy = streams.retry(2, backoff="1ms")
    made = bench(lambda s: s.flat_map_values(lambda v: [v, v + 1, v + 2]).map_values(once_each, on_error=policy))
    first, second = list(made.operators.values())[1:]
    rows = first.process(made.batch([("a", 1)]))
    assert [row.value for row in await made.wait(lambda: second.process(rows))] == [1, 2, 3]
    assert made.counts == {"retry": 6}


async def test_when_retries_are_used_up_the_next_policy_has_it(bench: Callable[..., Any]) -> None:
    def fails(value: int) -> int:
        raise OSError("down")

    made = bench(lambda s: s.map_values(fails), policy=streams.retry(2, backoff="1ms", then=streams.skip()))
    batch = made.batch([("a", 1), ("b", 2)])
    assert await made.wait(lambda: made.operator.process(batch)) == []
    assert made.counts == {"retry": 4, "skip": 2}

    made = bench(lambda s: s.map_values(fails), policy=streams.retry(1, backoff="1ms"))
    batch = made.batch([("a", 1)])
    with pytest.raises(streams.errors.UserCodeError, match=r"map_values.*numbers-0 @ 0: OSError: down"):
        await made.wait(lambda: made.operator.process(batch))


async def test_while_a_record_waits_nothing_is_handed_on(bench: Callable[..., Any]) -> None:
    made = bench(lambda s: s.map_values(lambda value: 1 // value), policy=streams.retry(1, backoff="1ms"))
    with pytest.raises(Blocked) as blocked:
        made.operator.process(made.batch([("a", 1), ("b", 0), ("c", 1)]))
    await blocked.value.awaitable
    with pytest.raises(streams.errors.UserCodeError):
        blocked.value.resume()


def test_the_error_names_step_record_and_the_users_line(bench: Callable[..., Any]) -> None:
    def divide(value: int) -> int:
        return 1 // value

    made = bench(lambda s: s.map_values(divide))
    with pytest.raises(streams.errors.UserCodeError) as caught:
        made.send(("a", 1), ("b", 0))
    assert "numbers-map_values-divide, numbers-0 @ 1: ZeroDivisionError" in str(caught.value)
    assert f"{__file__}:{divide.__code__.co_firstlineno + 1} in divide" in str(caught.value)
    assert made.counts == {"stop": 1}


def test_results_that_compare_strangely_are_results(bench: Callable[..., Any]) -> None:
    class Strange:
        def __eq__(self, other: object) -> Any:
            raise TypeError("not comparable")

        __hash__ = None  # type: ignore[assignment]

    made = bench(lambda s: s.map_values(lambda value: Strange()), policy=streams.skip())
    assert [type(row.value) for row in made.send(("a", 1), ("b", 2))] == [Strange, Strange]
