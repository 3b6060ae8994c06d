"""Global tables in a worker: loaded before anything is processed, followed while it runs, there again after a start."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streams
from broker_embedded.records import encode
from streams.client import Client
from streams.runtime.observer import Restoring, Silent
from streams.runtime.worker import Worker
from streams.testing.driver import Driver
from streams.transport.contract import TopicPartition


class Watching(Silent):
    def __init__(self) -> None:
        self.restored = 0

    def restoring(self, event: Restoring) -> None:
        self.restored += event.records


def make_app(folder: Path, store: str) -> streams.App:
    app = streams.App("globals", data_dir=str(folder), store=store)
    airlines = app.topic("airlines", key_type=str, value_type=str, partitions=3).global_table()
    flights = app.topic("flights", key_type=str, value_type=str, partitions=2)
    named = app.topic("named", key_type=str, value_type=list[Any], partitions=1)
    flights.stream().left_join(airlines, lambda flight, airline: [flight, airline], key=lambda f: f[:2]).to(named)
    return app


async def read(client: Client) -> list[Any]:
    return [record.value async for record in client.read("named")]


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_loaded_before_the_first_record_and_again_after_a_start(tmp_path: Path, store: str) -> None:
    names = [(f"{a}{b}", f"airline {a}{b}") for a in "ABC" for b in "ABC"]
    app = make_app(tmp_path, store)
    async with app.client() as client:
        await client.send_many("airlines", [*names, ("AA", "American"), ("AB", None)])
        await client.send_many("flights", [(str(n), f"{key}{n}") for n, (key, _) in enumerate(names)])
        seen = Watching()
        await Worker(app, seen, until_end=True).run()
        expected = {f"{key}{n}": name for n, (key, name) in enumerate(names)} | {"AA0": "American", "AB1": None}
        assert dict(await read(client)) == expected
        assert seen.restored == 11
        await client.send_many("airlines", [("CC", "last")])
        await client.send_many("flights", [("x", "CC100"), ("y", "BB100"), ("z", "AB100")])
        seen = Watching()
        again = make_app(tmp_path, store)
        await Worker(again, seen, until_end=True).run()
        assert dict(await read(client)) == expected | {"CC100": "last", "BB100": "airline BB", "AB100": None}
        assert seen.restored == (12 if store == "memory" else 1), "a store on disk goes on from where it was"
        assert await client.table("airlines").get("CC") == "last"


async def test_a_topic_that_was_made_again_is_read_anew(tmp_path: Path) -> None:
    app = make_app(tmp_path, "rocksdb")
    async with app.client() as client:
        await client.send_many("airlines", [("AA", "old"), ("BB", "old")])
        await Worker(app, Silent(), until_end=True).run()
        await client.admin.delete_topics("airlines")
        await client.admin.create_topic("airlines", partitions=3)
        await client.send_many("airlines", [("AA", "new"), ("CC", "x"), ("DD", "x"), ("EE", "x"), ("FF", "x")])
        await client.send_many("flights", [("1", "AA1"), ("2", "BB2")])
        await Worker(make_app(tmp_path, "rocksdb"), Silent(), until_end=True).run()
        assert dict(await read(client)) == {"AA1": "new", "BB2": None}


async def test_followed_while_it_runs_and_seen_by_agents_and_timers(tmp_path: Path) -> None:
    app = make_app(tmp_path, "memory")
    changes = app.topic("changes", key_type=str, value_type=str)
    told = app.topic("told", key_type=str, value_type=str, partitions=1)
    airlines = app.tables["airlines"]

    @app.agent(changes, sink=[told], tables=[airlines])
    async def tell(stream: Any) -> Any:
        async for key in stream:
            yield airlines.get(key, "nothing")

    worker = Worker(app, Silent())
    async with app.client() as client:
        running = asyncio.ensure_future(worker.run())
        try:
            for number in range(3):
                await client.send_many("airlines", [("AA", f"name {number}")])
                async with asyncio.timeout(10):
                    while app.worker is None or airlines.get("AA") != f"name {number}":
                        await asyncio.sleep(0.01)
                await client.send_many("flights", [(str(number), f"AA{number}")])
                await client.send_many("changes", [("k", "AA")])
                async with asyncio.timeout(10):
                    while len(await read(client)) <= number or not [r async for r in client.read("told")][number:]:
                        await asyncio.sleep(0.01)
            assert await read(client) == [[f"AA{n}", f"name {n}"] for n in range(3)]
            assert [record.value async for record in client.read("told")] == [f"name {n}" for n in range(3)]
        finally:
            worker.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await running


def driven(**options: Any) -> streams.App:
    app = streams.App("globals", **options)
    airlines = app.topic("airlines", key_type=str, value_type=str, partitions=3).global_table()
    flights = app.topic("flights", key_type=str, value_type=str, partitions=2).stream()
    flights.left_join(airlines, lambda flight, airline: [flight, airline], key=lambda f: f[:2]).to("named")
    return app


def test_in_the_driver_a_change_is_there_at_once_and_lasts() -> None:
    with Driver(driven()) as driver:
        driver.pipe("airlines", [("AA", "one"), ("BB", "two"), (None, "nobody")], commit=False)
        assert dict(driver.table("airlines").items()) == {"AA": "one", "BB": "two"}
        driver.pipe("flights", [("1", "AA1"), ("2", "BB2")])
        driver.crash()
        driver.pipe("airlines", [("AA", "three"), ("BB", None)])
        driver.restart()
        driver.pipe("flights", [("1", "AA3"), ("2", "BB4")])
        found = sorted(record.value for record in driver.read("named"))
        assert found == [["AA1", "one"], ["AA3", "three"], ["BB2", "two"], ["BB4", None]]


def test_processors_look_into_it() -> None:
    app = streams.App("globals")
    airlines = app.topic("airlines", key_type=str, value_type=str, partitions=3).global_table()
    flights = app.topic("flights", key_type=str, value_type=str, partitions=2).stream()

    class Named:
        def init(self, ctx: Any) -> None:
            self.ctx = ctx

        def process(self, record: Any) -> None:
            airline = self.ctx.store("airlines").get(record.value[:2])
            self.ctx.forward(key=record.key, value=f"{record.value} {airline}")

    flights.process(Named, stores=[airlines], value_type=str).to("named")
    assert [sub.id for sub in app.plan().subtopologies] == ["flights"]
    with Driver(app) as driver:
        driver.pipe("airlines", [("AA", "one"), ("BB", "two")])
        driver.pipe("flights", [("1", "AA1"), ("2", "BB2"), ("3", "CC3")])
        assert sorted(record.value for record in driver.read("named")) == ["AA1 one", "BB2 two", "CC3 None"]


def test_changes_give_no_results() -> None:
    with Driver(driven()) as driver:
        driver.pipe("flights", key="1", value="AA1")
        driver.pipe("airlines", key="AA", value="one")
        assert [record.value for record in driver.read("named")] == [["AA1", None]]


def test_what_does_not_decode_goes_to_the_error_policy() -> None:
    app = streams.App("globals", on_error=streams.skip())
    app.topic("numbers", key_type=str, value_type=int).global_table()
    words = app.topic("words", key_type=str, value_type=str)
    words.stream().to("elsewhere")
    with Driver(app) as driver:
        driver.log.append(TopicPartition("numbers", 0), encode([b"a", b"b"], [b"no number", b"7"], [0, 0]))
        driver.pipe("words", key="x", value="go on")
        assert dict(driver.table("numbers").items()) == {"b": 7}
        assert driver.dropped == {("numbers-global-source", "skip"): 1}


ROW = st.tuples(
    st.sampled_from(["airlines", "flights"]),
    st.sampled_from(["AA", "BB", "CC", None]),
    st.one_of(st.none(), st.sampled_from(["AA1", "BB2", "CC3"])),
)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(ROW, max_size=16), crashes=st.booleans())
def test_it_is_what_a_dict_would_be(rows: list[Any], crashes: bool) -> None:
    table: dict[str, str] = {}
    expected: list[Any] = []
    with Driver(driven(), partitions=1 if crashes else 2) as driver:
        found: list[Any] = []
        for number, (topic, key, value) in enumerate(rows):
            driver.pipe(topic, key=key, value=value, timestamp=50 - number)
            if topic == "flights" and value is not None:
                expected.append((key, [value, table.get(value[:2])]))
            elif topic == "airlines" and key is not None:
                table = {name: known for name, known in table.items() if name != key}
                table |= {} if value is None else {key: value}
            if crashes and number % 4 == 3:
                driver.crash()
                driver.restart()
            found += [record[:2] for record in driver.read("named")]
        assert found == expected
        assert dict(driver.table("airlines").items()) == table
