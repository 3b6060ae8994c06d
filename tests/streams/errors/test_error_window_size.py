"""A window whose size was changed over a store that holds windows of the old one is told, not mixed up."""

from __future__ import annotations

from pathlib import Path

import pytest

import streams
from streams.errors import StreamsError
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker


def counting(folder: Path, size: str) -> streams.App:
    app = streams.App("sizes", data_dir=str(folder))
    events = app.topic("events", key_type=str, value_type=int, partitions=1)
    events.stream().group_by_key().windowed_by(streams.TumblingWindow(size, grace="1d")).count(name="counts")
    return app


async def test_another_size(tmp_path: Path) -> None:
    app = counting(tmp_path, "1h")
    async with app.client() as client:
        await client.send("events", key="a", value=1, timestamp=5)
        await Worker(app, Silent(), until_end=True).run()
        await Worker(counting(tmp_path, "1h"), Silent(), until_end=True).run()
        with pytest.raises(StreamsError, match=r"holds windows.*\('1h'.*TumblingWindow\('30m'.*--store counts"):
            await Worker(counting(tmp_path, "30m"), Silent(), until_end=True).run()
