"""An agent's life in a task: what it yields, what happens when it raises, how it begins and ends."""

# The loops under test are written as users write them.
# ruff: noqa: PERF401

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextvars import ContextVar
from typing import Any

import pytest

from streams.errors import StreamsError, TopologyError, UserCodeError
from streams.policies import dead_letter, retry, skip


class Broken(Exception):
    pass


async def test_what_is_yielded_has_key_time_offset_and_headers_of_its_record(bench: Any) -> None:
    async def agent(stream):
        async for value in stream:
            for _ in range(value):
                yield value * 10

    made = bench(agent)
    batch = made.batch([("a", 1), ("b", 0), ("c", 2)], [7, 8, 9], headers=[[("h", b"1")], [], [("h", b"3")]])
    out = await made.settle(lambda: made.operator.process(batch))
    assert (out.keys, out.values, out.offsets.tolist(), out.timestamps.tolist()) == (
        ["a", "c", "c"],
        [10, 20, 20],
        [0, 2, 2],
        [7, 9, 9],
    )
    assert [list(h) for h in out.headers] == [[("h", b"1")], [("h", b"3")], [("h", b"3")]]
    assert await made.send([0]) == []


async def test_awaits_in_the_body(bench: Any) -> None:
    async def agent(stream):
        async for value in stream:
            async with asyncio.timeout(5):
                await asyncio.gather(*(asyncio.sleep(0) for _ in range(value)))
            yield value

    made = bench(agent)
    assert [value for _, value, _ in await made.send([3, 1, 2])] == [3, 1, 2]


async def test_sinks_that_are_functions(bench: Any) -> None:
    plain, slow = [], []

    async def later(value):
        await asyncio.sleep(0)
        slow.append(value)

    async def agent(stream):
        async for value in stream:
            yield value + 1

    made = bench(agent, sink=[plain.append, later])
    assert [value for _, value, _ in await made.send([1, 2])] == [2, 3]
    assert plain == slow == [2, 3]


async def test_each_run_has_a_context_of_its_own(bench: Any) -> None:
    var: ContextVar[str] = ContextVar("var", default="outside")

    async def agent(stream):
        var.set("inside")
        async for _ in stream:
            yield var.get()

    made = bench(agent)
    assert [value for _, value, _ in await made.send([1])] == ["inside"]
    assert var.get() == "outside"


# -- errors


async def test_stop_names_the_record_and_the_users_line(bench: Any) -> None:
    async def agent(stream):
        async for value in stream:
            if value == 3:
                raise Broken("three")

    made = bench(agent)
    with pytest.raises(
        UserCodeError, match=r"agent, numbers-0 @ 2: .*Broken: three \(.*test_agent_operator.py:\d+"
    ) as caught:
        await made.send([1, 2, 3, 4])
    assert isinstance(caught.value.cause, Broken)


@pytest.mark.parametrize("view", ["values", "events", "yield"])
async def test_skip_goes_on_with_the_next_record(bench: Any, view: str) -> None:
    seen, starts = [], 0

    async def agent(stream):
        nonlocal starts
        starts += 1
        async for item in stream.events() if view == "events" else stream:
            value = item.value if view == "events" else item
            if view == "yield":
                yield -value
            if value % 5 == 0:
                raise Broken
            seen.append(value)
            yield value

    made = bench(agent, skip())
    out = await made.send(list(range(1, 12)))
    assert seen == [1, 2, 3, 4, 6, 7, 8, 9, 11]
    assert [value for _, value, _ in out if value > 0] == seen
    assert [-value for _, value, _ in out if value < 0] == (seen if view == "yield" else [])
    assert starts == 3
    assert made.failures.counts == {("agent", "skip"): 2}
    assert [value for _, value, _ in await made.send([12]) if value > 0] == [12]


async def test_dead_letter(bench: Any) -> None:
    async def agent(stream):
        async for value in stream:
            if value == 2:
                raise Broken("two")

    made = bench(agent, dead_letter())
    await made.send([1, 2, 3])
    assert made.outputs.pending_records == 1
    assert made.failures.counts == {("agent", "dead_letter"): 1}


async def test_retry_gives_the_record_again_and_then_hands_it_on(bench: Any) -> None:
    seen = []

    async def agent(stream):
        async for value in stream:
            seen.append(value)
            yield value
            if value == 2 and seen.count(2) < 3:
                raise Broken
            if value == 4:
                raise Broken

    made = bench(agent, retry(2, backoff="1ms", then=skip()))
    out = await made.send([1, 2, 3, 4, 5])
    assert seen == [1, 2, 2, 2, 3, 4, 4, 4, 5]
    assert [value for _, value, _ in out] == [1, 2, 3, 5]
    assert made.failures.counts == {("agent", "retry"): 4, ("agent", "skip"): 1}


@pytest.mark.parametrize("view", ["take", "batches"])
async def test_a_list_fails_as_a_whole(bench: Any, view: str) -> None:
    seen = []

    async def agent(stream):
        async for found in stream.take(3) if view == "take" else stream.batches():
            values = found if view == "take" else found.values
            yield len(values)
            if 2 in values:
                raise Broken
            seen.extend(values)

    made = bench(agent, skip())
    out = [*await made.send([1, 2, 3]), *await made.send([4, 5, 6])]
    assert seen == [4, 5, 6]
    assert [(value, offset) for _, value, offset in out] == [(3, 5)]
    assert made.failures.counts == {("agent", "skip"): 3}


@pytest.mark.parametrize("view", ["values", "take", "batches"])
async def test_a_filter_that_raises_fails_its_own_record_only(bench: Any, view: str) -> None:
    seen = []

    def keep(value):
        return 1 / value > 0

    async def agent(stream):
        good = stream.filter(keep)
        if view == "values":
            async for value in good:
                seen.append(value)
        elif view == "take":
            async for values in good.take(4):
                seen.extend(values)
        else:
            async for batch in good.batches():
                seen.extend(batch.values)

    made = bench(agent, skip())
    await made.send([1, 2])
    await made.send([3, 0, 4])
    await made.flush()
    assert seen == [1, 2, 3, 4]
    assert made.failures.counts == {("agent", "skip"): 1}


async def test_retry_of_a_list_keeps_its_order(bench: Any) -> None:
    seen = []

    async def agent(stream):
        async for values in stream.take(2):
            seen.append(values)
            if len(seen) == 1:
                raise Broken

    made = bench(agent, retry(1, backoff="1ms"))
    await made.send([1])
    await made.send([2, 3])
    await made.flush()
    assert seen == [[1, 2], [1, 2], [3]]


async def test_an_error_before_the_first_record_stops_whatever_the_policy(bench: Any) -> None:
    async def agent(stream):
        raise Broken("set-up")
        async for _ in stream:
            pass

    made = bench(agent, skip())
    with pytest.raises(UserCodeError, match="set-up"):
        await made.send([1])


@pytest.mark.parametrize("records", [[1, 2], []])
async def test_an_agent_must_iterate(bench: Any, records: list[int]) -> None:
    async def agent(stream):
        async for _ in stream:
            break

    async def idle(stream):
        pass

    made = bench(agent if records else idle, skip())
    with pytest.raises(StreamsError, match=r"came to its end.*async for"):
        await made.send(records or [1])


async def test_an_agent_that_is_cancelled_by_its_own_code(bench: Any) -> None:
    async def agent(stream):
        async for _ in stream:
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

    with pytest.raises(StreamsError, match="was cancelled"):
        await bench(agent).send([1])


# -- concurrency


async def test_concurrency_keeps_the_order_of_each_key(bench: Any) -> None:
    seen = defaultdict(list)
    at_once, most = 0, 0

    async def agent(stream):
        nonlocal at_once, most
        async for event in stream.events():
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.001 * (event.value % 3))
            at_once -= 1
            seen[event.key].append(event.value)
            yield event.value

    made = bench(agent, concurrency=4)
    records = [(f"key-{n % 10}", n) for n in range(40)]
    out = await made.send(records)
    assert out == [(key, value, value) for key, value in records]
    assert all(values == sorted(values) for values in seen.values())
    assert most > 1


async def test_concurrency_with_errors_and_lists(bench: Any) -> None:
    seen = []

    async def agent(stream):
        async for values in stream.take(3):
            if 0 in values:
                raise Broken
            seen.extend(values)
            yield len(values)

    made = bench(agent, skip(), concurrency=3)
    await made.send([(f"key-{n}", n) for n in range(20)])
    await made.send([(f"key-{n}", n) for n in range(20, 40)])
    out = await made.flush()
    assert sorted(seen) == sorted(set(range(40)) - {n for n in range(40) if n not in seen})
    assert len(seen) + made.failures.counts["agent", "skip"] == 40
    assert made.failures.counts["agent", "skip"] == 3
    assert all(value <= 3 for _, value, _ in out)


async def test_records_without_a_key_are_dealt_out_by_offset(bench: Any) -> None:
    async def agent(stream):
        async for value in stream:
            yield value

    made = bench(agent, concurrency=2)
    assert [value for _, value, _ in await made.send([(None, n) for n in range(5)])] == [0, 1, 2, 3, 4]


# -- end


async def test_close_leaves_nothing_running(bench: Any) -> None:
    ended = []

    async def agent(stream):
        try:
            async for value in stream:
                yield value
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    made = bench(agent, concurrency=2)
    await made.send([("a", 1), ("b", 2)])
    await made.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert len(ended) == 2


async def test_close_of_a_body_that_waits_elsewhere(bench: Any) -> None:
    async def agent(stream):
        async for _ in stream:
            await asyncio.Event().wait()

    made = bench(agent)
    working = asyncio.create_task(made.send([1]))
    for _ in range(5):
        await asyncio.sleep(0)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await made.close()


async def test_an_agent_without_records_closes(bench: Any) -> None:
    async def agent(stream):
        async for _ in stream:
            pass

    await bench(agent).close()


# -- group_by in the body


async def test_group_by_that_the_plan_does_not_have(bench: Any) -> None:
    planned = True

    async def agent(stream):
        async for _ in stream.group_by(str, name="text") if planned else stream.group_by(int, name="number"):
            pass

    made = bench(agent, skip())
    await made.send([1])
    planned = False
    with pytest.raises(TopologyError, match="not in the plan"):
        await made.restart()
        await made.send([1])
