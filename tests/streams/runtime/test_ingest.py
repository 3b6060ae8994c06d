"""Sources: the position that is committed is that of the records committed with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import streams
from streams.client import Client
from streams.errors import StreamsError
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker


def source_app(folder: Path, rows: Any) -> streams.App:
    app = streams.App("feed", data_dir=str(folder), store="memory")
    app.source(app.topic("numbers", value_type=int), name="rows")(rows)
    return app


async def run(app: streams.App) -> list[Any]:
    """Runs to the end; gives all numbers that are there."""
    await Worker(app, Silent(), until_end=True).run()
    async with app.client() as client:
        return [record.value async for record in client.read("numbers")]


async def position(app: streams.App) -> Any:
    async with Client(data_dir=app.settings.data_dir) as client:
        kept = [record.value async for record in client.read("feed-rows-position")]
    return msgspec.json.decode(kept[-1])


async def test_a_position_that_is_changed_in_place_is_committed_as_it_was_at_its_row(tmp_path: Path) -> None:
    def rows(position: dict[str, int] | None = None) -> Iterator[Any]:
        at = position or {"row": 0}
        while at["row"] < stop:
            at["row"] += 1
            yield streams.Position(at), None, at["row"]

    for stop in (3, 5, 5):
        app = source_app(tmp_path, rows)
        assert await run(app) == list(range(1, stop + 1))
        assert await position(app) == {"row": stop}


async def test_a_generator_that_has_gone_on_does_not_move_the_position(tmp_path: Path) -> None:
    at = {"row": 0}

    async def rows() -> AsyncIterator[Any]:
        for _ in range(3):
            at["row"] += 1
            yield streams.Position(at), None, at["row"]
        at["row"] = 99  # for a row that never comes
        await asyncio.sleep(0)

    app = source_app(tmp_path, rows)
    assert await run(app) == [1, 2, 3]
    assert await position(app) == {"row": 3}


async def test_a_position_that_json_does_not_take_is_said_with_its_source(tmp_path: Path) -> None:
    def rows() -> Iterator[Any]:
        yield streams.Position(object()), None, 1

    with pytest.raises(StreamsError, match=r"rows \(.*test_ingest.py:\d+\): a position is kept as JSON, .* <object"):
        await run(source_app(tmp_path, rows))
