"""Whole apps in a folder in memory, held open while a test runs, so that it is closed, and synced, once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import streams
from streams.client import Client, ClientRecord
from streams.runtime.observer import Failed, Progress, Silent, Started, Stopped
from streams.runtime.worker import Worker

MEMORY_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None


class Written(NamedTuple):
    """A record as bytes."""

    key: bytes | None
    value: bytes | None
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes | None]] = ()
    partition: int | None = None


class Watcher(Silent):
    """Keeps what a worker tells."""

    def __init__(self) -> None:
        self.failures: list[Failed] = []
        self.begun: list[Started] = []
        self.ended: list[Stopped] = []
        self.reports: list[Progress] = []

    def started(self, info: Started) -> None:
        self.begun.append(info)

    def progress(self, stats: Progress) -> None:
        self.reports.append(stats)

    def failed(self, failure: Failed) -> None:
        self.failures.append(failure)

    def stopped(self, summary: Stopped) -> None:
        self.ended.append(summary)


class Clock:
    """Time as an input: `sleep` returns at once and is kept."""

    def __init__(self) -> None:
        self.now = 1_000_000
        self.slept: list[float] = []

    def now_ms(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += int(seconds * 1000)


class Lab:
    """Runs apps over one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.watcher = Watcher()
        self.worker: Worker | None = None

    def app(self, name: str = "lab", **settings: Any) -> streams.App:
        return streams.App(name, data_dir=str(self.folder), store="memory", **settings)

    def held(self, app: streams.App) -> Client:
        """`async with lab.held(app):` keeps the folder open."""
        return Client(data_dir=app.settings.data_dir)

    async def write(self, app: streams.App, topic: str, rows: list[Written]) -> None:
        """Bytes into a topic of the app; the topic is made as the app says."""
        async with app.client() as client:
            async for _ in client.read(topic):
                break
        async with self.held(app) as client:
            for row in rows:
                await client.send(
                    topic,
                    key=row.key,
                    value=row.value,
                    timestamp=row.timestamp,
                    headers=list(row.headers),
                    partition=row.partition,
                )

    async def read(self, app: streams.App, topic: str) -> list[ClientRecord]:
        """The committed records of a topic, typed as the app says."""
        async with app.client() as client:
            return [record async for record in client.read(topic)]

    async def run(self, app: streams.App) -> Worker:
        """A worker to the end of the input."""
        self.watcher = Watcher()
        self.worker = Worker(app, self.watcher, until_end=True, now_ms=self.clock.now_ms, sleep=self.clock.sleep)
        await self.worker.run()
        return self.worker


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK) as made:
        yield Path(made)


@pytest.fixture
def lab(folder: Path) -> Lab:
    return Lab(folder)


@pytest.fixture
def written() -> Callable[..., Written]:
    return Written
