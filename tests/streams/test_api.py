"""What users write, as the manual shows it: one app with both faces, and every way of saying things."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

import streams
from streams import agg
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker

HOUR_MS = 3_600_000


class Flight(streams.Record):
    carrier: str
    tailnum: str | None = None
    delay: float | None = None
    at: streams.Timestamp | None = None


class Plane(streams.Record):
    seats: int


class Alert(streams.Record):
    carrier: str
    late: int


def rows() -> list[Flight]:
    """A quarter of an hour apart, and for each carrier one much later, so that windows close."""
    told = [("AA", "N1", 70), ("UA", "N2", 20), ("AA", "N1", 10), ("AA", None, 90), ("UA", "N9", 61), ("AA", "N2", 5)]
    flights = [Flight(c, plane, float(delay), n * HOUR_MS // 4) for n, (c, plane, delay) in enumerate(told * 2)]
    return [*flights, *(Flight(carrier, None, 99.0, 20 * HOUR_MS) for carrier in ("AA", "UA"))]


async def run(app: streams.App) -> None:
    await Worker(app, Silent(), until_end=True).run()


async def records(app: streams.App, topic: str) -> list[Any]:
    async with app.client() as client:
        return [record async for record in client.read(topic)]


async def test_the_app_of_the_manual(folder: str) -> None:
    app = streams.App("flights", data_dir=folder)
    flights = app.topic(
        "flights",
        key_type=str,
        value_type=Flight,
        partitions=4,
        retention="forever",
        config={"compression.type": "zstd"},
    )
    alerts = app.topic("alerts", key_type=str, value_type=Alert)
    planes = app.topic("planes", key_type=str, value_type=Plane, partitions=4).table(name="planes")
    late: Any = app.Table("late", key_type=str, value_type=int, default=int, partitions=4).tumbling("1h", expires="1d")

    @app.agent(flights, sink=[alerts], group_by=Flight.carrier)
    async def watch(stream: Any) -> AsyncIterator[Alert]:
        async for flight in stream:
            if flight.delay and flight.delay > 60:
                late[flight.carrier] += 1
                yield Alert(flight.carrier, late[flight.carrier].current())

    @app.source("flights")
    def january(position: int = 0) -> Iterator[Any]:
        for n, flight in enumerate(rows()[position:], start=position):
            yield streams.Position(n + 1), flight.carrier, flight

    hourly = (
        flights.stream()
        .filter(Flight.delay > 15)
        .group_by(Flight.carrier, name="by-carrier")
        .windowed_by(streams.TumblingWindow("1h", grace="10m"))
        .aggregate(flights=agg.count(), mean=agg.mean(Flight.delay), name="hourly")
        .emit("close")
    )
    hourly.to_stream().to("hourly-delays")
    (
        flights.stream()
        .select_key(Flight.tailnum)
        .left_join(planes, lambda key, flight, plane: [key, None if plane is None else plane.seats], name="seats")
        .to("seats")
    )

    async with app.client() as client:
        await client.send_many("planes", [("N1", Plane(50)), ("N2", Plane(180))])
        await run(app)
        await run(app)  # the second time there is nothing to do

        alerts_seen = sorted([(r.key, r.value.late) async for r in client.read("alerts")])
        assert alerts_seen == sorted(expected_alerts())
        hours = {
            (r.key.key, r.key.start // HOUR_MS): [r.value.flights, r.value.mean]
            async for r in client.read("hourly-delays")
        }
        assert hours == {hour: [len(d), sum(d) / len(d)] for hour, d in by_hour(15).items() if hour[1] < 20}
        joined = sorted([r.value async for r in client.read("seats")], key=str)
        nameless = [[None, None]] * 2  # a left join lets records without a key leave, as Kafka's does (KIP-962)
        by_plane = [["N1", 50], ["N2", 180], ["N1", 50], ["N9", None], ["N2", 180]]
        assert joined == sorted([*by_plane, *nameless] * 2, key=str)


def by_hour(more_than: float) -> dict[tuple[str, int], list[float]]:
    found: dict[tuple[str, int], list[float]] = {}
    for flight in rows():
        if flight.delay is not None and flight.delay > more_than and flight.at is not None:
            found.setdefault((flight.carrier, flight.at // HOUR_MS), []).append(flight.delay)
    return found


def expected_alerts() -> list[tuple[str, int]]:
    return [(carrier, n + 1) for (carrier, _), delays in by_hour(60).items() for n in range(len(delays))]


# -- agents


async def fill(folder: str, count: int = 10, partitions: int = 1) -> streams.App:
    app = streams.App("faces", data_dir=folder)
    app.topic("numbers", key_type=str, value_type=int, partitions=partitions)
    async with app.client() as client:
        await client.send_many("numbers", [(f"k{n % 3}", n) for n in range(count)])
    return app


BODIES: dict[str, Callable[[Any, list[Any]], Any]] = {}


def body(function: Callable[[Any, list[Any]], Any]) -> Callable[[Any, list[Any]], Any]:
    BODIES[function.__name__] = function
    return function


@body
async def plain(stream: Any, seen: list[Any]) -> None:
    async for value in stream:
        seen.append(value)  # noqa: PERF401 - a stream never ends


@body
async def items(stream: Any, seen: list[Any]) -> None:
    async for key, value in stream.items():
        assert key == f"k{value % 3}"
        seen.append(value)


@body
async def events(stream: Any, seen: list[Any]) -> None:
    async for event in stream.events():
        message = event.message
        assert (event.key, list(event.headers), message.topic) == (f"k{event.value % 3}", [], "numbers")
        assert (message.partition, message.offset) == (0, event.value) and message.timestamp == event.timestamp
        seen.append(event.value)


@body
async def take(stream: Any, seen: list[Any]) -> None:
    async for some in stream.take(3, within=1.0):
        assert 1 <= len(some) <= 3
        seen += some


@body
async def batches(stream: Any, seen: list[Any]) -> None:
    async for batch in stream.batches():
        assert isinstance(batch, streams.Batch) and isinstance(batch.timestamps, np.ndarray)
        seen += batch.values


@body
async def filtered(stream: Any, seen: list[Any]) -> None:
    async for value in stream.filter(lambda v: v >= 0):
        seen.append(value)  # noqa: PERF401 - a stream never ends


@body
async def numbered(stream: Any, seen: list[Any]) -> None:
    async for number, value in stream.enumerate():
        assert number == value
        seen.append(value)


@pytest.mark.parametrize("name", BODIES)
async def test_an_agent_reads_each_record_once_in_every_way(folder: str, name: str) -> None:
    app = await fill(folder)
    seen: list[Any] = []

    @app.agent(app.topics["numbers"])
    async def agent(stream: Any) -> None:
        await BODIES[name](stream, seen)

    await run(app)
    assert seen == list(range(10))


async def test_columns_of_batches_are_arrays(folder: str) -> None:
    app = streams.App("faces", data_dir=folder)
    flights = app.topic("flights", key_type=str, value_type=Flight)
    seen: list[Any] = []

    @app.agent(flights)
    async def agent(stream: Any) -> None:
        async for batch in stream.batches():
            assert isinstance(batch.columns["delay"], np.ndarray)
            seen.extend(batch.columns["delay"].tolist())

    async with app.client() as client:
        await client.send_many("flights", [("a", Flight("AA", delay=1.5)), ("b", Flight("UA", delay=2.5))])
        await run(app)
    assert seen == [1.5, 2.5]


async def test_an_agent_of_several_topics(folder: str) -> None:
    """One that is named twice counts once."""
    app = await fill(folder)
    seen: list[Any] = []

    @app.agent([app.topics["numbers"], "others", "numbers"])
    async def agent(stream: Any) -> None:
        async for event in stream.events():
            seen.append((event.message.topic, event.value))  # noqa: PERF401

    async with app.client() as client:
        await client.send("others", value=7)
        await run(app)
    assert sorted(seen) == [("numbers", n) for n in range(10)] + [("others", 7)]


async def test_concurrency_keeps_the_order_of_each_key(folder: str) -> None:
    app = await fill(folder, 30)
    seen: list[Any] = []

    @app.agent(app.topics["numbers"], concurrency=3)
    async def agent(stream: Any) -> None:
        async for key, value in stream.items():
            await asyncio.sleep(0)
            seen.append((key, value))

    await run(app)
    assert len(seen) == 30
    for key in ("k0", "k1", "k2"):
        values = [value for k, value in seen if k == key]
        assert values == sorted(values)


async def test_group_by_in_the_body_moves_records(folder: str) -> None:
    app = await fill(folder, 30, partitions=3)
    counts: Any = app.Table("counts", key_type=int, value_type=int, default=int, partitions=3)

    @app.agent(app.topics["numbers"])
    async def agent(stream: Any) -> None:
        async for value in stream.group_by(lambda value: value % 5, name="by-rest"):
            counts[value % 5] += 1

    await run(app)
    async with app.client() as client:
        assert sorted([row async for row in client.table("counts").items()]) == [(rest, 6) for rest in range(5)]


async def test_sinks_are_topics_agents_and_functions(folder: str) -> None:
    app = await fill(folder, 3)
    called: list[int] = []
    passed: list[int] = []
    out = app.topic("out", key_type=str, value_type=int)

    async def later(value: int) -> None:
        await asyncio.sleep(0)
        called.append(value)

    @app.agent()
    async def second(stream: Any) -> None:
        async for value in stream:
            passed.append(value)  # noqa: PERF401

    @app.agent(app.topics["numbers"], sink=[out, second, later, called.append])
    async def first(stream: Any) -> AsyncIterator[int]:
        async for value in stream:
            yield value * 10

    await run(app)
    assert [record.value for record in await records(app, "out")] == passed == [0, 10, 20]
    assert sorted(called) == [0, 0, 10, 10, 20, 20]


async def test_send_and_cast_reach_an_agent(folder: str) -> None:
    app = streams.App("faces", data_dir=folder)
    seen: list[Any] = []
    worker = Worker(app, Silent())

    @app.agent()
    async def second(stream: Any) -> None:
        async for event in stream.events():
            seen.append((event.key, event.value))
            if len(seen) == 2:
                worker.stop()

    @app.task
    async def begin() -> None:
        await second.send(key="k", value=1)
        await second.cast(2)

    await asyncio.wait_for(worker.run(), 30)
    assert seen == [("k", 1), (None, 2)]


# -- tables


async def test_windowed_tables_in_agents(folder: str) -> None:
    app = streams.App("faces", data_dir=folder)
    numbers = app.topic("numbers", key_type=str, value_type=int)
    tumbling: Any = app.Table("tumbling", key_type=str, value_type=int, default=int).tumbling("10s", expires="1h")
    hopping: Any = app.Table("hopping", key_type=str, value_type=int, default=int).hopping("10s", "5s", expires="1h")
    seen: list[Any] = []

    @app.agent(numbers)
    async def agent(stream: Any) -> None:
        async for value in stream:
            tumbling["a"] += value
            hopping["a"] += value
            seen.append((tumbling["a"].current(), tumbling["a"].delta(10.0), hopping["a"].current()))

    async with app.client() as client:
        for value, time in [(1, 0), (2, 6_000), (4, 12_000)]:
            await client.send("numbers", key="x", value=value, timestamp=time)
        await run(app)
        windows = [(key.start, value) async for key, value in client.table("hopping").items()]
    assert [row[0] for row in seen] == [1, 3, 4]
    assert [row[2] for row in seen] == [1, 2, 4]
    assert seen[2][1] == 3
    assert windows == [(0, 3), (5_000, 6), (10_000, 4)]


async def test_tables_are_read_by_name_whichever_face_made_them(folder: str) -> None:
    app = await fill(folder, 9)
    app.topics["numbers"].stream().group_by_key().count(name="counts")
    app.topics["numbers"].table(name="latest")
    app.Table("own", value_type=int)
    assert set(app.tables) == {"counts", "latest", "own"}
    seen: list[Any] = []

    @app.report
    def shown() -> list[Any]:
        return sorted(app.tables["counts"].items())

    class Watch(Silent):
        def ending(self) -> None:
            seen.extend(app.reports["shown"]())

    await Worker(app, Watch(), until_end=True).run()
    assert seen == [("k0", 3), ("k1", 3), ("k2", 3)]


# -- timers


def test_timers_crontabs_and_tasks_are_declared() -> None:
    app = streams.App("times")

    @app.timer(interval=30.0)
    async def often() -> None: ...

    @app.timer("5m", name="mine")
    def sometimes() -> None: ...

    @app.crontab("0 6 * * *", timezone="Europe/Berlin")
    async def daily() -> None: ...

    @app.task
    async def once() -> None: ...

    @app.task(on_leader=True)
    async def by_one() -> None: ...

    @app.timer("1s", on_leader=True)
    async def beat() -> None: ...

    assert [call.on_leader for call in app.timers] == [False, False, False, True]
    assert app.leader_tasks == [by_one] and not app.is_leader()
    del app.timers[3]
    assert [(call.name, repr(call.schedule)) for call in app.timers] == [
        ("often", "Timer('30s')"),
        ("mine", "Timer('5m')"),
        ("daily", "Crontab('0 6 * * *', timezone='Europe/Berlin')"),
    ]
    assert app.background == [once] and callable(often) and callable(sometimes) and callable(daily)


async def test_a_timer_sends_in_the_workers_transaction(folder: str) -> None:
    app = streams.App("times", data_dir=folder)
    numbers = app.topic("numbers", key_type=str, value_type=int)
    worker = Worker(app, Silent())

    @app.timer(0.001)
    async def tick() -> None:
        await numbers.send("k", 1)

    @app.agent(numbers)
    async def watch(stream: Any) -> None:
        async for _ in stream:
            worker.stop()

    await asyncio.wait_for(worker.run(), 30)
    assert [record.value for record in await records(app, "numbers")][:1] == [1]


# -- names and signatures


def takes(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters)


def test_every_step_takes_a_name_and_those_with_a_function_a_policy() -> None:
    from streams.dsl.grouped import GroupedStream
    from streams.dsl.stream import Stream

    with_function = ["filter", "filter_not", "map", "map_values", "flat_map", "flat_map_values", "select_key", "peek"]
    with_function += ["for_each", "join", "left_join", "to"]
    for name in with_function:
        assert {"name", "on_error"} <= takes(getattr(Stream, name)), name
    for name in ("merge", "repartition", "group_by", "group_by_key"):
        assert "name" in takes(getattr(Stream, name)), name
    for name in ("count", "reduce", "aggregate"):
        assert {"name", "retention", "ttl"} <= takes(getattr(GroupedStream, name)), name


def test_what_an_app_and_its_topics_take() -> None:
    assert {"key_type", "value_type", "partitions", "retention", "config"} <= takes(streams.App.topic)
    assert {"sink", "group_by", "tables", "concurrency", "on_error", "name"} <= takes(streams.App.agent)
    assert {"key_type", "value_type", "default", "partitions", "ttl"} <= takes(streams.App.Table)
    topic = streams.App("x").topic("t")
    assert {"name", "ttl"} <= takes(topic.table)
    assert {"key", "value", "timestamp", "headers"} <= takes(topic.send)


@pytest.mark.parametrize("size", [10, 10.0, timedelta(seconds=10), "10s", "10000ms"])
def test_durations_are_said_in_many_ways(size: Any) -> None:
    assert streams.TumblingWindow(size).size_ms == 10_000
    table = streams.App("x").topic("t").stream().group_by_key().count(ttl=size)
    assert table.store.ttl_ms == 10_000


def test_public_names() -> None:
    for name in streams.__all__:
        assert getattr(streams, name) is not None
    for name in ("count", "sum", "mean", "min", "max", "first", "last", "variance", "stddev"):
        assert callable(getattr(streams.agg, name))


def test_building_an_app_needs_no_broker(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.chdir(folder)
    app = streams.App("shop")
    app.topic("orders").stream().group_by_key().count()
    app.plan()
    assert os.listdir(folder) == []
