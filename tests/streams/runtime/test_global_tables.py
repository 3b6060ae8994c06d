"""Global tables in a worker: loaded before anything is processed, followed while it runs, there again after a start."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

import streams
from streams.client import Client
from streams.runtime.observer import Restoring, Silent
from streams.runtime.worker import Worker


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
