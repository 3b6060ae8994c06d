"""What an agent's function sees of its stream."""

# The loops under test are written as users write them.
# ruff: noqa: PERF401, PERF102

from __future__ import annotations

import asyncio
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_embedded import records
from streams.agent_stream import Event, Stream
from streams.errors import ConfigError
from streams.graph.nodes import SourceNode
from streams.models import Record
from streams.operators.sources.source import SourceOperator, Undecodable


class Flight(Record):
    carrier: str
    delay: float | None = None


async def test_values_in_order_over_many_batches(bench: Any) -> None:
    seen = []

    async def agent(stream):
        async for value in stream:
            seen.append(value)

    made = bench(agent)
    for start in range(0, 30, 10):
        assert await made.send(list(range(start, start + 10))) == []
    assert seen == list(range(30))


async def test_a_batch_costs_two_turns_of_the_event_loop(bench: Any) -> None:
    async def agent(stream):
        async for _ in stream:
            pass

    made = bench(agent)
    await made.send(list(range(5000)))
    assert made.waits == 1


async def test_events(bench: Any) -> None:
    seen: list[Event] = []

    async def agent(stream):
        async for event in stream.events():
            seen.append(event)

    made = bench(agent)
    batch = made.batch([("a", 1), (None, 2)], [10, 20], headers=[[("h", b"1")], []], partition=3)
    await made.process(batch)
    await made.send([("b", 3)], [30])
    assert [(e.key, e.value, e.timestamp, list(e.headers), e.offset) for e in seen] == [
        ("a", 1, 10, [("h", b"1")], 0),
        (None, 2, 20, [], 1),
        ("b", 3, 30, [], 2),
    ]
    message = seen[0].message
    assert (message.topic, message.partition, message.offset, message.timestamp) == ("numbers", 3, 0, 10)
    assert repr(seen[0]) == "Event(key='a', value=1, timestamp=10, numbers-3 @ 0)"


async def test_items_and_enumerate(bench: Any) -> None:
    seen = []

    async def agent(stream):
        async for key, value in stream.items():
            seen.append((key, value))
            if value == 2:
                break
        async for number, value in stream.enumerate(100):
            seen.append((number, value))

    made = bench(agent)
    await made.send([("a", 1), ("b", 2), ("c", 3)])
    await made.send([("d", 4)])
    assert seen == [("a", 1), ("b", 2), (100, 3), (101, 4)]


async def test_views_share_one_position(bench: Any) -> None:
    seen = []

    async def agent(stream):
        async for first in stream:
            seen.append(first)
            async for event in stream.events():
                seen.append(("event", event.value))
                if event.value % 3 == 0:
                    break

    made = bench(agent)
    await made.send([1, 2, 3, 4])
    await made.send([5, 6, 7])
    assert seen == [1, ("event", 2), ("event", 3), 4, ("event", 5), ("event", 6), 7]


@pytest.mark.parametrize("view", ["values", "items", "events", "enumerate", "take", "batches"])
async def test_filter(bench: Any, view: str) -> None:
    seen: list[Any] = []

    async def agent(stream):
        odd = stream.filter(lambda value: value % 2).filter(lambda value: value < 8)
        if view == "values":
            async for value in odd:
                seen.append(value)
        elif view == "items":
            async for _, value in odd.items():
                seen.append(value)
        elif view == "events":
            async for event in odd.events():
                seen.append(event.value)
        elif view == "enumerate":
            async for _, value in odd.enumerate():
                seen.append(value)
        elif view == "take":
            async for values in odd.take(2):
                assert len(values) == 2
                seen.extend(values)
        else:
            async for batch in odd.batches():
                seen.extend(batch.values)

    made = bench(agent)
    await made.send(list(range(6)))
    await made.send(list(range(6, 12)))
    assert seen == [1, 3, 5, 7]


async def test_filter_by_an_expression(app: Any, bench: Any) -> None:
    seen = []

    async def agent(stream):
        async for flight in stream.filter(Flight.delay > 10):
            seen.append(flight.carrier)

    made = bench(agent, topic=app.topic("numbers", value_type=Flight))
    await made.send([Flight("AA", 20.0), Flight("UA", 5.0), Flight("DL", None)])
    assert seen == ["AA"]


async def test_batches_have_columns(app: Any, bench: Any) -> None:
    seen = []

    async def agent(stream):
        async for batch in stream.batches():
            seen.append((batch.columns["delay"].sum(), pl.DataFrame(batch)["carrier"].to_list()))

    made = bench(agent, topic=app.topic("numbers", value_type=Flight))
    batch = made.batch([("k", Flight("AA", 1.0)), ("k", Flight("UA", 2.0))], value_type=Flight)
    await made.process(batch)
    assert seen == [(3.0, ["AA", "UA"])]


async def test_whole_batches_are_parsed_into_columns(app: Any, bench: Any, twin: str) -> None:
    seen: list[Any] = []

    async def agent(stream):
        async for batch in stream.batches():
            seen.append((batch.columns["delay"].tolist(), batch.columns["carrier"].tolist(), batch.values))

    made = bench(agent, topic=app.topic("numbers", key_type=str, value_type=Flight))
    source = next(node for sub in made.plan.subtopologies for node in sub.nodes if isinstance(node, SourceNode))
    values = [b'{"carrier": "AA", "delay": 1.5}', b"no flight", b'{"delay": 2.5, "carrier": "U\\u0041"}']
    raw = records.encode([b"k"] * 3, values, [1, 2, 3])
    first, wrong, last = SourceOperator(source, made.context).decode([memoryview(raw)], 0, 0)
    assert isinstance(wrong, Undecodable)
    assert (first.rowless, last.rowless) == (twin == "compiled", twin == "compiled")
    await made.process(first)
    await made.process(last)
    assert seen == [
        ([1.5], ["AA"], [Flight("AA", 1.5)]),
        ([2.5], ["UA"], [Flight("UA", 2.5)]),
    ]


@pytest.mark.parametrize("view", ["rows", "both", "untyped"])
def test_fields_are_read_as_columns_by_whole_batches_only(app: Any, view: str) -> None:
    async def rows(stream):
        async for _ in stream:
            pass

    async def both(stream):
        async for _ in stream.batches():
            async for _ in stream.take(2):
                pass

    async def untyped(stream):
        async for _ in stream.batches():
            pass

    app.agent(app.topic("numbers", value_type=int if view == "untyped" else Flight), name="a")(vars()[view])
    (source, agent) = app.plan().subtopologies[0].nodes
    assert (source.fields_read, agent.columns) == (None, None)


async def test_take_fills_lists_over_batches_and_hands_over_before_a_commit(bench: Any) -> None:
    seen = []

    async def agent(stream):
        async for values in stream.take(4, within="1s"):
            seen.append(values)
            yield sum(values)

    made = bench(agent)
    assert made.operator.pending is None
    made.now_ms = 500
    assert await made.send([1, 2, 3]) == []
    assert made.operator.pending == 1500
    assert await made.send([4, 5]) == [("k", 10, 3)]
    assert made.operator.pending == 1500
    assert await made.flush() == [("k", 5, 4)]
    assert made.operator.pending is None
    assert await made.flush() == []
    assert await made.send(list(range(8))) == [("k", 6, 8), ("k", 22, 12)]
    assert seen == [[1, 2, 3, 4], [5], [0, 1, 2, 3], [4, 5, 6, 7]]


async def test_take_needs_room(bench: Any) -> None:
    async def agent(stream):
        async for _ in stream.take(0):
            pass

    made = bench(agent)
    with pytest.raises(ConfigError, match="at least one"):
        await made.send([1])


async def test_a_long_list_lets_other_tasks_run(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.agent_feed.SLICE_S", 0.0)
    turns, seen = 0, []

    async def agent(stream):
        async for value in stream:
            seen.append(value)

    async def other():
        nonlocal turns
        while len(seen) < 1000:
            turns += 1
            await asyncio.sleep(0)

    made = bench(agent)
    beside = asyncio.create_task(other())
    await made.send(list(range(1000)))
    await beside
    assert seen == list(range(1000))
    assert turns > 3


async def test_many_iterators_left_standing_are_closed(bench: Any) -> None:
    seen = []

    async def agent(stream):
        while True:
            async for value in stream:
                seen.append(value)
                break

    made = bench(agent)
    await made.send(list(range(100)))
    await made.send([100])
    assert seen == list(range(101))


@given(
    st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=20), max_size=8),
    st.lists(
        st.tuples(st.sampled_from(["values", "events", "take", "batches", "filter"]), st.integers(1, 5)), min_size=1
    ),
)
def test_however_it_is_read_each_record_comes_once(batches: list[list[int]], script: list[tuple[str, int]]) -> None:
    from streams.agent_feed import Feed
    from streams.batch import Batch

    seen: list[int] = []

    async def body(stream: Stream[int]) -> None:
        while True:
            for view, count in script:
                await read(stream, view, count)

    async def read(stream: Stream[int], view: str, count: int) -> None:
        if view == "take":
            async for values in stream.take(count):
                seen.extend(values)
                return
        elif view == "batches":
            async for batch in stream.batches():
                seen.extend(batch.values)
                return
        else:
            every = stream if view != "filter" else stream.filter(lambda value: seen.append(value) or True)
            async for item in every.events() if view == "events" else every:
                if view != "filter":
                    seen.append(item.value if isinstance(item, Event) else item)
                count -= 1
                if count == 0:
                    return

    async def main() -> None:
        idle = asyncio.Event()
        feed = Feed(idle.set, lambda: 0)
        task = asyncio.create_task(body(Stream(feed, lambda key, name: None)))
        for values in batches:
            batch = Batch.of([("k", value) for value in values])
            feed.give(batch, batch.timestamps)
        await idle.wait()
        while feed.holds:
            idle.clear()
            feed.hand_over()
            await idle.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        feed.close_iterators()

    asyncio.run(main())
    assert seen == [value for values in batches for value in values]
