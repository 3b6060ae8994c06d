"""The test driver: the real engine, virtual time, no broker."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import streams
from broker_embedded import records
from streams.errors import ConfigError, StreamsError, UserCodeError
from streams.runtime.steps import COMMIT_STEPS
from streams.testing import Clock, Driver, TopicRecord
from streams.testing.driver.virtual_loop import StuckError
from streams.transport.contract import TopicPartition
from streams.windows import Windowed


class Order(streams.Record):
    customer: str
    amount: int


class Reading(streams.Record):
    degrees: int
    at: streams.Timestamp


def shop(**settings: Any) -> streams.App:
    """Counts by key; by customer behind a repartition; sums by window."""
    app = streams.App("shop", **settings)
    orders = app.topic("orders", key_type=str, value_type=Order).stream()
    orders.group_by_key().count(name="per-key").to_stream().to("per-key-out")
    orders.group_by(Order.customer).count(name="per-customer").to_stream().to("per-customer-out")
    window = streams.TumblingWindow("10s")
    orders.map_values(lambda order: order.amount, value_type=int).group_by_key().windowed_by(window).reduce(
        lambda old, new: old + new, name="sums"
    ).to_stream().to("sums-out")
    return app


def pairs(records: list[TopicRecord]) -> list[tuple[Any, Any]]:
    return [(record.key, record.value) for record in records]


ADA, BOB = Order("ada", 30), Order("bob", 10)


def test_records_come_out_typed_and_in_order() -> None:
    with Driver(shop()) as driver:
        driver.pipe("orders", key="1", value=ADA, timestamp=5, headers=[("trace", b"x")])
        driver.pipe("orders", [("2", BOB, 6), TopicRecord("1", BOB, 7)])
        assert driver.read("orders")[0] == ("1", ADA, 5, (("trace", b"x"),))
        assert driver.read("per-key-out") == [("1", 1, 5, (("trace", b"x"),)), ("2", 1, 6, ()), ("1", 2, 7, ())]
        assert pairs(driver.read("per-customer-out")) == [("ada", 1), ("bob", 1), ("bob", 2)]
        assert pairs(driver.read("sums-out"))[-1] == (Windowed("1", 0, 10_000), 40)


def test_read_gives_what_came_since_the_last_read() -> None:
    with Driver(shop()) as driver:
        driver.pipe("orders", key="1", value=ADA)
        assert len(driver.read("per-key-out")) == 1
        assert driver.read("per-key-out") == []
        driver.pipe("orders", key="1", value=ADA)
        assert pairs(driver.read("per-key-out")) == [("1", 2)]


def test_tables_can_be_looked_into() -> None:
    with Driver(shop()) as driver:
        driver.pipe("orders", [("1", ADA, 0), ("1", ADA, 12_000), ("2", BOB, 12_001)])
        table = driver.table("per-key")
        assert table.get("1") == table["1"] == 2
        assert "3" not in table
        assert table.get("3", 0) == 0
        assert table.items() == [("1", 2), ("2", 1)]
        sums = driver.table("sums")
        assert sums.window("1", 9_999) is None  # past its retention
        assert sums.window("1", 12_000) == sums.get(Windowed("1", 10_000, 20_000)) == 30
        assert sums.window("1", 20_000) is None
        assert sums.items()[-1] == (Windowed("2", 10_000, 20_000), 10)
        with pytest.raises(StreamsError, match=r"no table is called 'per-kye'. Did you mean 'per-key'?"):
            driver.table("per-kye")


class Visits:
    stores = (streams.Store("visits", key_type=str, value_type=int, kind="session", retention="1h"),)

    def init(self, ctx: Any) -> None:
        self.visits = ctx.store("visits")

    def process(self, record: Any) -> None:
        self.visits.put(record.key, record.value, record.timestamp, record.timestamp + 10)


def test_a_store_of_sessions_can_be_looked_into() -> None:
    app = streams.App("shop")
    app.topic("clicks", key_type=str, value_type=int).stream().process(Visits)
    with Driver(app) as driver:
        driver.pipe("clicks", [("ada", 1, 5), ("ada", 2, 50)])
        visits = driver.table("visits")
        assert [visits.window("ada", time) for time in (4, 5, 15, 16, 55)] == [None, 1, 1, None, 2]


def test_the_default_is_to_emit_every_change_and_a_table_may_say_otherwise() -> None:
    def app(*emit: str) -> streams.App:
        made = streams.App("shop")
        table = made.topic("orders", key_type=str, value_type=int).stream().group_by_key().count(name="n")
        (table.emit(*emit) if emit else table).to_stream().to("out")  # type: ignore[arg-type]
        return made

    rows = [("a", 1), ("a", 1), ("b", 1)]
    for made, options, expected in [
        (app(), {}, [("a", 1), ("a", 2), ("b", 1)]),
        (app(), {"emit": "commit"}, [("a", 2), ("b", 1)]),
        (app("commit"), {}, [("a", 2), ("b", 1)]),
    ]:
        with Driver(made, **options) as driver:  # type: ignore[arg-type]
            driver.pipe("orders", rows)
            assert pairs(driver.read("out")) == expected


def test_cuts_of_pipe_many_are_commits() -> None:
    app = streams.App("shop")
    app.topic("orders", key_type=str, value_type=int).stream().group_by_key().count(name="n").emit(
        "commit"
    ).to_stream().to("out")
    with Driver(app) as driver:
        driver.pipe_many("orders", [("a", 1)] * 5, cuts=[2, 3])
        assert pairs(driver.read("out")) == [("a", 2), ("a", 3), ("a", 5)]


def test_over_several_topics_a_task_takes_what_waits_in_the_order_of_timestamps() -> None:
    app = streams.App("shop")
    left, right = (app.topic(name, key_type=str, value_type=int) for name in ("left", "right"))
    left.stream().merge(right.stream()).to("out")
    with Driver(app) as driver:
        driver.pipe_many({"left": [("l", 1, 10), ("l", 2, 30)], "right": [("r", 3, 20)]})
        assert [record.value for record in driver.read("out")] == [1, 3, 2]
        driver.pipe("left", key="l", value=4, timestamp=50)
        driver.pipe("right", key="r", value=5, timestamp=40)
        assert [record.value for record in driver.read("out")] == [4, 5]


def test_several_partitions_are_several_tasks_behind_a_repartition_too() -> None:
    with Driver(shop(), partitions=4) as driver:
        driver.pipe("orders", [(str(n), Order(f"c{n % 5}", 1), n) for n in range(100)])
        assert len(driver._alive().assembly.tasks) == 8
        assert sorted(driver.table("per-customer").items()) == [(f"c{n}", 20) for n in range(5)]
        driver.pipe("orders", key="1", value=ADA, partition=3)
        assert sorted(driver.table("per-key").items())[0] == ("0", 1)


def test_behind_several_writers_time_is_held_back_until_a_writer_is_idle() -> None:
    app = streams.App("shop")
    orders = app.topic("orders", key_type=str, value_type=str).stream()
    counts = orders.group_by(lambda v: v).windowed_by(streams.TumblingWindow(10)).count(name="n")
    counts.emit("close").to_stream().to("out")
    with Driver(app, partitions=2) as driver:
        driver.pipe("orders", key="a", value="x", timestamp=0, partition=0)
        driver.pipe("orders", key="b", value="x", timestamp=1, partition=1)
        driver.pipe("orders", key="a", value="x", timestamp=30_000, partition=0)
        assert driver.read("out") == []
        driver.advance(wall="10s")
        assert pairs(driver.read("out")) == [(Windowed("x", 0, 10_000), 2)]


def test_timers_and_crontabs_are_called_at_their_times() -> None:
    app = streams.App("shop")
    out = app.topic("out", key_type=str, value_type=int)
    calls: list[str] = []

    @app.timer(interval=30.0)
    async def tick() -> None:
        calls.append("tick")
        await out.send("tick", 1)

    @app.crontab("*/2 * * * *")
    def even() -> None:
        calls.append("even")

    with Driver(app) as driver:
        driver.advance(wall="29s")
        assert calls == []
        driver.advance(wall="1s")
        assert calls == ["tick"]
        driver.advance(wall="90s")
        assert sorted(calls) == ["even", "tick", "tick", "tick", "tick"]
        assert [record.timestamp for record in driver.read("out")] == [30_000, 60_000, 90_000, 120_000]


def test_a_clock_may_be_given_and_moves_the_drivers_that_go_by_it() -> None:
    app = streams.App("shop")
    out = app.topic("out", key_type=str, value_type=int)

    @app.timer(interval="1m")
    async def tick() -> None:
        await out.send("tick", 1)

    clock = Clock(1_700_000_000_000)
    with Driver(app, clock=clock) as driver:
        clock.advance("1m")
        assert [record.timestamp for record in driver.read("out")] == [1_700_000_060_000]
    with pytest.raises(ConfigError, match="does not go back"):
        clock.move_to(5)


def agents() -> streams.App:
    app = streams.App("shop")
    orders = app.topic("orders", key_type=str, value_type=Order)
    out = app.topic("out", key_type=str, value_type=int)
    spent = app.Table("spent", key_type=str, value_type=int, default=int)

    @app.agent(orders, sink=[out])
    async def watch(stream: AsyncIterator[Order]) -> AsyncIterator[int]:
        async for order in stream:
            await asyncio.sleep(60)
            spent[order.customer] += order.amount
            yield spent[order.customer]

    return app


def test_an_agent_that_sleeps_takes_virtual_time() -> None:
    began = time.monotonic()
    with Driver(agents()) as driver:
        driver.pipe("orders", [("1", ADA), ("2", ADA), ("3", BOB)])
        assert pairs(driver.read("out")) == [("1", 30), ("2", 60), ("3", 10)]
        assert driver.table("spent").get("ada") == 60
        assert driver.clock.now_ms == 180_000
    assert time.monotonic() - began < 60


async def test_within_a_running_loop() -> None:
    async with Driver(agents()) as driver:
        driver.pipe("orders", key="1", value=ADA)
        assert pairs(driver.read("out")) == [("1", 30)]
    with Driver(agents()) as driver:
        driver.pipe("orders", key="1", value=ADA)
        assert pairs(driver.read("out")) == [("1", 30)]
    await asyncio.sleep(0)


async def test_within_a_running_loop_with_tables_on_disk(tmp_path: Path) -> None:
    async with Driver(agents(), store="rocksdb", data_dir=str(tmp_path)) as driver:
        driver.pipe("orders", key="1", value=ADA)
        driver.crash()
        driver.restart()
        assert driver.table("spent").get("ada") == 30


@pytest.mark.parametrize("wanted", [False, True])
def test_sources_feed_only_if_asked(wanted: bool) -> None:
    app = streams.App("shop")
    orders = app.topic("orders", key_type=str, value_type=int)
    orders.stream().map_values(lambda v: v * 2, value_type=int).to("out")

    @app.source(orders)
    def numbers(position: int = 0) -> Any:
        for n in range(position, 3):
            yield streams.Position(n + 1), "a", n

    with Driver(app, sources=wanted) as driver:
        assert [value for _, value in pairs(driver.read("out"))] == ([0, 2, 4] if wanted else [])
        driver.crash()
        driver.restart()
        assert driver.read("out") == []


def test_lists_that_an_agent_collects_are_handed_over_when_their_time_is_over() -> None:
    app = streams.App("shop")
    lists: list[list[int]] = []

    @app.agent(app.topic("orders", key_type=str, value_type=int))
    async def collect(stream: Any) -> None:
        nonlocal lists
        async for values in stream.take(3, within=5.0):
            lists += [[*values]]

    with Driver(app) as driver:
        driver.pipe("orders", [("a", 1), ("a", 2)])
        driver.advance(wall="4s")
        assert lists == []
        driver.advance(wall="1s")
        assert lists == [[1, 2]]
        driver.pipe("orders", [("a", 3), ("a", 4), ("a", 5), ("a", 6)])
        assert lists == [[1, 2], [3, 4, 5]]
        driver.commit()
        assert lists == [[1, 2], [3, 4, 5], [6]]


def test_an_agent_that_waits_for_ever_is_told_of() -> None:
    app = streams.App("shop")

    @app.agent(app.topic("orders", key_type=str, value_type=int))
    async def stuck(stream: AsyncIterator[int]) -> None:
        async for _ in stream:
            await asyncio.Event().wait()

    with Driver(app) as driver:
        with pytest.raises(StreamsError, match="waits for something that nobody brings about"):
            driver.pipe("orders", key="1", value=1)
        assert driver.is_down


def test_a_thread_is_waited_for() -> None:
    app = streams.App("shop")

    @app.agent(app.topic("orders", key_type=str, value_type=int), sink=[app.topic("out", key_type=str, value_type=int)])
    async def slow(stream: AsyncIterator[int]) -> AsyncIterator[int]:
        async for value in stream:
            yield await asyncio.to_thread(lambda v: v + 1, value)

    with Driver(app) as driver:
        driver.pipe("orders", key="1", value=1)
        assert pairs(driver.read("out")) == [("1", 2)]


def test_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "socketpair", refuse)
    with Driver(agents()) as driver:
        driver.pipe("orders", key="1", value=ADA)
        assert pairs(driver.read("out")) == [("1", 30)]


def test_what_a_step_raises_is_raised_by_pipe_and_the_app_is_down() -> None:
    app = streams.App("shop")
    app.topic("orders", key_type=str, value_type=int).stream().map_values(lambda v: 1 // v).to("out")
    with Driver(app) as driver:
        with pytest.raises(UserCodeError, match="ZeroDivisionError") as failed:
            driver.pipe("orders", [("a", 1), ("a", 0)])
        assert isinstance(cause := failed.value.__cause__, ZeroDivisionError) and cause.__context__ is None
        assert failed.traceback[-1].path.parts[-2:] == ("driver", "__init__.py"), "how it came there is left out"
        assert driver.is_down
        assert driver.read("out") == []
        with pytest.raises(UserCodeError):
            driver.restart()


@pytest.mark.parametrize("policy", ["skip", "dead-letter", "retry:2"])
def test_policies_work_as_in_a_worker(policy: str) -> None:
    app = streams.App("shop", on_error=policy)
    tries = []

    def divide(value: int) -> int:
        tries.append(value)
        return 1 // value

    app.topic("orders", key_type=str, value_type=int).stream().map_values(divide).to("out")
    with Driver(app) as driver:
        if policy.startswith("retry"):
            with pytest.raises(UserCodeError):
                driver.pipe("orders", [("a", 1), ("a", 0)])
            assert tries.count(0) == 3
            assert driver.clock.now_ms > 0
            return
        driver.pipe("orders", [("a", 1), ("a", 0), ("a", 1)])
        assert len(driver.read("out")) == 2
        ((_, reason), count), *_ = driver.dropped.items()
        assert (reason, count) == (policy.replace("-", "_"), 1)
        if policy == "dead-letter":
            (dead,) = driver.read("shop-dead-letter")
            assert dict(dead.headers)["error.type"] == b"ZeroDivisionError"


# -- crashes


def test_a_crash_loses_what_was_not_committed_and_a_restart_reads_it_again() -> None:
    with Driver(shop()) as driver:
        driver.pipe("orders", key="1", value=ADA)
        driver.pipe("orders", key="1", value=ADA, commit=False)
        assert pairs(driver.read("per-key-out")) == [("1", 1)]
        driver.crash()
        assert driver.is_down
        assert driver.read("per-key-out") == []
        driver.restart()
        assert pairs(driver.read("per-key-out")) == [("1", 2)]
        assert driver.table("sums").window("1", 0) == 60
        assert {event.store for event in driver.restored} >= {"per-key", "sums"}


def test_what_comes_while_the_app_is_down_waits() -> None:
    with Driver(shop()) as driver:
        driver.stop()
        driver.pipe("orders", key="1", value=ADA)
        with pytest.raises(StreamsError, match="the app is down"):
            driver.table("per-key")
        driver.restart()
        assert driver.table("per-key").get("1") == 1


@pytest.mark.parametrize("step", COMMIT_STEPS)
@pytest.mark.parametrize(
    ("guarantee", "store"),
    [
        ("exactly_once", "memory"),
        pytest.param("exactly_once", "rocksdb", marks=pytest.mark.slow),
        ("at_least_once", "memory"),
        pytest.param("at_least_once", "rocksdb", marks=pytest.mark.slow),
    ],
)
def test_a_crash_at_any_step_of_a_commit(tmp_path: Path, step: str, store: Any, guarantee: str) -> None:
    with Driver(shop(processing_guarantee=guarantee), store=store, data_dir=str(tmp_path)) as driver:
        driver.pipe("orders", [("1", ADA, 1), ("2", BOB, 2)])
        driver.crash(at=step, occurrence=2)
        driver.pipe("orders", [("1", ADA, 3), ("2", BOB, 4)])
        driver.pipe("orders", [("1", ADA, 5), ("2", BOB, 6)])
        assert driver.is_down
        driver.restart()
        found = dict(pairs(driver.read("per-key-out")))
        counts = dict(driver.table("per-key").items())
        if guarantee == "exactly_once":
            assert counts == {"1": 3, "2": 3}
            assert driver.table("per-customer").get("ada") == 3
        assert found == counts


def test_a_table_of_a_topic_is_restored_without_the_records_that_have_no_key() -> None:
    app = streams.App("shop")
    app.topic("names", key_type=str, value_type=str).table(name="names")
    with Driver(app) as driver:
        driver.pipe("names", [("ann", "smith", 0), (None, "nobody", 1), ("bob", "jones", 2)])
        driver.crash()
        driver.restart()
        assert driver.table("names").items() == [("ann", "smith"), ("bob", "jones")]


def test_a_table_of_a_topic_is_restored_without_the_records_that_were_left_out() -> None:
    app = streams.App("shop", on_error="skip")
    app.topic("names", key_type=str, value_type=int).table(name="names")
    with Driver(app) as driver:
        driver.pipe("names", [("ann", 1, 0), ("bob", 2, 0)])
        driver.log.append(TopicPartition("names", 0), records.encode([b"ann", b"cat"], [b"no number", b"2x"], [5, 6]))
        driver.pipe("names", key="bob", value=3, timestamp=1)
        for _ in range(2):
            assert driver.table("names").items() == [("ann", 1), ("bob", 3)]
            driver.crash()
            driver.restart()
        assert driver.dropped == {}


def test_a_table_of_a_topic_is_restored_under_the_times_that_its_records_have() -> None:
    app = streams.App("shop")
    left, right = (app.topic(name, key_type=str, value_type=Reading).table(name=name) for name in ("left", "right"))
    joined = left.join(right, lambda a, b: a.degrees - b.degrees, value_type=int, name="joined")
    joined.to_stream().to("out")
    with Driver(app) as driver:
        driver.pipe("left", key="a", value=Reading(5, 500), timestamp=1)
        driver.crash()
        driver.restart()
        driver.pipe("right", key="a", value=Reading(3, 300), timestamp=2)
        assert driver.read("out") == [("a", 2, 500, ())]


def test_a_crash_in_a_restore(tmp_path: Path) -> None:
    with Driver(shop()) as driver:
        driver.pipe("orders", [("1", ADA, 1)])
        driver.crash()
        driver.crash(at="restore: write store")
        driver.restart()
        assert driver.is_down
        driver.restart()
        assert driver.table("per-key").get("1") == 1
        with pytest.raises(ConfigError, match="no step is called 'comit'"):
            driver.crash(at="comit")


def test_a_clean_restart_with_rocksdb_restores_nothing(tmp_path: Path) -> None:
    with Driver(shop(), store="rocksdb", data_dir=str(tmp_path)) as driver:
        driver.pipe("orders", key="1", value=ADA)
        driver.restart()
        assert driver.restored == []
        assert driver.table("per-key").get("1") == 1


def test_topics_may_be_there_before_for_patterns_to_find() -> None:
    app = streams.App("shop")
    app.stream(pattern="orders-.*", key_type=str, value_type=int).to("all")
    with Driver(app, topics=["orders-eu", "orders-us", "others"]) as driver:
        driver.pipe("orders-eu", key="a", value=1)
        driver.pipe("orders-us", key="b", value=2)
        assert pairs(driver.read("all")) == [("a", 1), ("b", 2)]


# -- misuse


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda driver: driver.pipe("order", key="1", value=ADA), "no topic 'order'. Did you mean 'orders'?"),
        (lambda driver: driver.read("nothing-like-it"), "no topic 'nothing-like-it'"),
        (lambda driver: driver.pipe("orders", ["1"]), r"a record is \(key, value"),
        (lambda driver: driver.pipe("orders", key=1, value=ADA), "int where str is declared"),
        (lambda driver: driver.pipe("orders", key="1", value=ADA, partition=7), "orders-7 does not exist"),
        (lambda driver: driver.__enter__(), "is at work already"),
        (lambda driver: driver.pipe("orders", key="1", value=ADA, timestamp="5"), "timestamp='5': give ms since 1970"),
        (lambda driver: driver.pipe("orders", [("1", ADA, datetime(2024, 1, 1))]), "or a datetime with a time zone"),
        (lambda driver: driver.table("sums").get("1"), r"table 'sums' has windows, .* not '1'; \.windows\(key\) gives"),
    ],
)
def test_misuse_is_told(wrong: Callable[[Driver], None], message: str) -> None:
    with Driver(shop()) as driver, pytest.raises(StreamsError, match=message):
        wrong(driver)


def test_a_driver_is_opened_by_with() -> None:
    driver = Driver(shop())
    with pytest.raises(StreamsError, match="with Driver"):
        driver.restart()
    with pytest.raises(StreamsError, match="with Driver"):
        driver.pipe("orders", key="1", value=ADA)
    with driver:
        pass
    with pytest.raises(StreamsError, match="with Driver"):
        driver.pipe("orders", key="1", value=ADA)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"store": "rocksdb"}, "data_dir"),
        ({"store": "rocks"}, r"store='rocks'\): give one of 'memory', 'rocksdb'"),
        ({"emit": "always"}, r"emit='always'\): give one of 'update', 'commit', 'close'"),
        ({"partitions": "declare"}, r"partitions='declare'\): give a number, numbers by topic, or \"declared\""),
    ],
)
def test_a_wrong_option_is_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Driver(shop(), **options)


def test_a_time_may_be_a_datetime() -> None:
    with Driver(shop()) as driver:
        driver.pipe("orders", key="1", value=ADA, timestamp=datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC))
        assert [record.timestamp for record in driver.read("orders")] == [2_000]


def test_a_topic_that_feeds_itself_for_ever_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.testing.driver.running.COMMITS_MAX", 20)
    app = streams.App("countdown")
    numbers = app.topic("numbers", key_type=str, value_type=int)
    numbers.stream().filter(lambda n: n != 0).map_values(lambda n: n - 1).to(numbers)
    with Driver(app) as driver:
        driver.pipe("numbers", key="a", value=10)
        with pytest.raises(StuckError, match=r"20 commits, .* a topic feeds itself"):
            driver.pipe("numbers", key="a", value=-1)


def test_the_app_is_left_as_it_was() -> None:
    app = shop()
    before = app.settings
    with Driver(app):
        assert app.settings.store == "memory"
    assert app.settings is before
    assert app.worker is None
    with Driver(app) as driver:
        driver.pipe("orders", key="1", value=ADA)
        assert driver.table("per-key").get("1") == 1
