"""A worker whose `run` is cancelled: nothing of it goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import streams
from streams.runtime.observer import Silent
from streams.runtime.worker import Worker


class Waiting(Silent):
    """Tells when the worker has started."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    def started(self, info: object) -> None:
        self.begun.set()


async def test_the_loop_has_ended_before_what_it_works_on_is_closed(tmp_path: Path) -> None:
    app = streams.App("cancelled", data_dir=str(tmp_path), store="memory")
    app.topic("numbers", key_type=str, value_type=int).stream().group_by_key().count(name="count")
    for turns in range(40):  # at whatever it waits for
        observer = Waiting()
        running = asyncio.ensure_future(Worker(app, observer).run())
        await observer.begun.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert asyncio.all_tasks() == {asyncio.current_task()}
