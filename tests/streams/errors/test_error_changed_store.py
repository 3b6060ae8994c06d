"""A step that comes to use its store in another way is told, with the line, and takes nothing for what it is not; also
where the local stores are gone. It may go back, or begin anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import streams
from state.api import StateError
from streams.errors import StreamsError
from streams.runtime.observer import Silent
from streams.runtime.reset import removal_of_store
from streams.runtime.worker import Worker
from streams.transport.opening import open_transport

Build = Callable[[streams.App, Any], object]

RECORDS = [("a", 1, 300), ("b", 2, 600), ("a", 3, 900), ("a", 4, 3_000)]


def windows(window: Any) -> Build:
    merge = {"merge": lambda a, b: a + b} if isinstance(window, streams.SessionWindow) else {}

    def build(app: streams.App, events: Any) -> object:
        grouped = events.stream().group_by_key()
        by_window = grouped if window is None else grouped.windowed_by(window)
        return by_window.aggregate(0, lambda total, one: total + one, value_type=int, name="kept", **merge)

    return build


def fresh(within: str) -> Build:
    return lambda app, events: events.stream().deduplicate(within=within, name="kept")


def table(**settings: Any) -> Build:
    return lambda app, events: events.table(name="kept", **settings)


def by_agent(size: str) -> Build:
    def build(app: streams.App, events: Any) -> None:
        kept = app.Table("kept", key_type=str, value_type=int, default=int, partitions=1).tumbling(size)

        @app.agent(events)
        async def count(stream: streams.Stream[int]) -> None:
            async for _ in stream.events():
                kept["all"] += 1

    return build


def of_user(**settings: Any) -> Build:
    def keep(record: Any, ctx: Any) -> None:
        is_window = "kind" in settings
        ctx.store("kept").put(*((record.key, 1, record.timestamp) if is_window else (record.key, 1)))

    def build(app: streams.App, events: Any) -> None:
        store = app.store("kept", key_type=str, value_type=int, **settings)
        events.stream().process(keep, stores=[store], name="keep").to("out")

    return build


TUMBLING = windows(streams.TumblingWindow("2s"))
SESSIONS = windows(streams.SessionWindow("1s"))

CHANGES: dict[str, tuple[Build, Build]] = {
    "another size": (TUMBLING, windows(streams.TumblingWindow("1s"))),
    "another gap": (SESSIONS, windows(streams.SessionWindow("2s"))),
    "tumbling to sliding": (TUMBLING, windows(streams.SlidingWindow("2s"))),
    "sliding to tumbling": (windows(streams.SlidingWindow("2s")), TUMBLING),
    "tumbling to sessions": (TUMBLING, SESSIONS),
    "sessions to tumbling": (SESSIONS, TUMBLING),
    "no windows to some": (windows(None), TUMBLING),
    "windows to none": (TUMBLING, windows(None)),
    "sessions to none": (SESSIONS, windows(None)),
    "alike within": (fresh("1s"), fresh("2s")),
    "versioned to plain": (table(history="1h"), table()),
    "an agent's windows": (by_agent("1s"), by_agent("2s")),
    "a user's store": (of_user(), of_user(kind="window", retention="1h")),
}


class Life:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def app(self, build: Build) -> streams.App:
        app = streams.App("changed", data_dir=str(self.folder), store="rocksdb")
        app.topic("out")
        build(app, app.topic("events", key_type=str, value_type=int))
        return app

    async def run(self, build: Build, records: list[tuple[str, int, int]]) -> None:
        app = self.app(build)
        async with app.client() as client:
            for key, value, timestamp in records:
                await client.send("events", key=key, value=value, timestamp=timestamp)
        await Worker(app, Silent(), until_end=True).run()

    async def begin_anew(self, build: Build) -> None:
        app = self.app(build)
        transport, _ = await open_transport(app.settings)
        await (await removal_of_store(app, transport, "kept", workers=())).carry_out(transport)
        await transport.stop()


@pytest.fixture
def life(folder: Path) -> Life:
    return Life(folder)


@pytest.mark.parametrize("is_local", [True, False])
@pytest.mark.parametrize("change", CHANGES)
async def test_it_is_told(change: str, is_local: bool, life: Life) -> None:
    before, after = CHANGES[change]
    await life.run(before, RECORDS)
    if not is_local:
        shutil.rmtree(life.folder / "state")
    with pytest.raises((StreamsError, StateError), match=r"kept.*[Gg]o back.*streams reset APP --store kept"):
        await life.run(after, [])
    await life.run(before, RECORDS)
    await life.begin_anew(after)
    await life.run(after, RECORDS)
    await life.run(after, RECORDS)


async def test_an_inner_join_that_was_a_left_one_leaves_nothing_alone(life: Life) -> None:
    def joined(kind: str) -> Build:
        def build(app: streams.App, events: Any) -> None:
            others = app.topic("others", key_type=str, value_type=int)
            join = getattr(events.stream(), kind)
            within = streams.JoinWindow("1s")
            join(others.stream(), lambda one, other: [one, other], within=within, name="met").to("out")

        return build

    await life.run(joined("left_join"), [("a", 1, 0)])
    await life.run(joined("join"), [("b", 1, 90_000)])
    async with life.app(joined("join")).client() as client:
        assert [record async for record in client.read("out")] == []
