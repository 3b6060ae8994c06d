"""Tables with a `ttl` forget a key when stream time has passed its last change by so much, whatever the batches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import streams
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker

ROWS = [("a", 0), ("b", 400), ("a", 900), ("b", 1_399), ("b", 2_399), ("a", 2_400), ("c", 9_000), ("a", 9_001)]


def model(ttl_ms: int) -> list[tuple[str, int]]:
    """The count of the key after each record."""
    counts: dict[str, tuple[int, int]] = {}
    seen, results = 0, []
    for key, time in ROWS:
        seen = max(seen, time)
        counts = {k: (count, changed) for k, (count, changed) in counts.items() if changed > seen - ttl_ms}
        counts[key] = (counts.get(key, (0, 0))[0] + 1, time)
        results.append((key, counts[key][0]))
    return results


async def results(app: streams.App) -> list[tuple[str, int]]:
    async with app.client() as client:
        for key, time in ROWS:
            await client.send("events", key=key, value=1, timestamp=time)
        await Worker(app, Silent(), until_end=True).run()
        return [(r.key, r.value) async for r in client.read("out")]


@pytest.mark.parametrize("size", [1, 3, 1_000])
async def test_a_count(tmp_path: Path, size: int) -> None:
    app = streams.App("ttl", data_dir=str(tmp_path), batch_records_max=size)
    events = app.topic("events", key_type=str, value_type=int, partitions=1)
    table = events.stream().group_by_key().count(name="counts", ttl="1s").emit("update")
    table.to_stream().to("out")
    assert await results(app) == model(1_000)


@pytest.mark.parametrize("size", [1, 3, 1_000])
async def test_a_table_of_an_agent(tmp_path: Path, size: int) -> None:
    app = streams.App("ttl", data_dir=str(tmp_path), batch_records_max=size)
    events = app.topic("events", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    counts: Any = app.Table("counts", key_type=str, value_type=int, default=int, ttl="1s")

    @app.agent(events, sink=[out])
    async def count(stream: streams.Stream[int]) -> AsyncIterator[int]:
        async for event in stream.events():
            counts[event.key] += 1
            yield counts[event.key]

    assert await results(app) == model(1_000)
