"""How a worker ends: by signals, in the middle of whatever it does; the next one goes on where it was."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import streams
from streams.runtime.observer import Restoring, Silent, Stopped
from streams.runtime.restore import Restore
from streams.runtime.worker import Worker

MEMORY_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None
STREAMS = str(Path(sys.executable).parent / "streams")
ROWS = 2_000

APP = """
import asyncio, os, signal, sys, time
import streams

app = streams.App("ending", commit_interval_ms=20, batch_records_max=50)
numbers = app.topic("numbers", key_type=str, value_type=int, partitions=2)
copies = app.topic("copies", key_type=str, value_type=int)
counts = app.Table("counts", key_type=str, value_type=int, default=int, partitions=2)
at, what = int(os.environ.get("AT", "-1")), os.environ.get("DO", "")

@app.source(numbers)
async def feed(position=0):
    for n in range(position, 2_000):
        if n % 100 == 0:
            await asyncio.sleep(0)
        yield streams.Position(n + 1), f"k{n % 7}", n

@app.agent(numbers, sink=[copies])
async def copy(stream):
    async for key, value in stream.items():
        if value == at:
            os.kill(os.getpid(), signal.Signals[os.environ["SIGNAL"]])
            if what:
                print("held up", file=sys.stderr, flush=True)
                time.sleep(3600) if what == "block" else await asyncio.sleep(3600)
        counts[key] += 1
        yield value

@app.report
def totals():
    return [{"key": key, "count": count} for key, count in counts.items()]
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK) as made:
        (Path(made) / "ending.py").write_text(APP)
        yield Path(made)


def command(*flags: str) -> list[str]:
    return [STREAMS, "worker", "ending:app", *flags]


async def copies(folder: Path) -> list[int]:
    async with streams.Client(data_dir=folder / "ending-data") as client:
        return [int(record.value) async for record in client.read("copies")]


def finish(folder: Path) -> None:
    """The rest; then everything was done once."""
    done = subprocess.run(
        command("--until-end", "--json", "-l", "error"), cwd=folder, capture_output=True, text=True, check=True
    )
    assert sum(json.loads(line)["count"] for line in done.stdout.splitlines()) == ROWS
    assert sorted(asyncio.run(copies(folder))) == list(range(ROWS))


@pytest.mark.parametrize(
    ("name", "code", "at"),
    [
        ("SIGTERM", 0, 3),
        ("SIGINT", 130, 1_234),
        pytest.param("SIGTERM", 0, 1_234, marks=pytest.mark.slow),
        pytest.param("SIGINT", 130, 3, marks=pytest.mark.slow),
    ],
)
def test_a_signal_lets_it_commit_and_nothing_is_done_twice(folder: Path, name: str, code: int, at: int) -> None:
    environment = {**os.environ, "AT": str(at), "SIGNAL": name}
    ended = subprocess.run(command(), cwd=folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == code, ended.stderr
    assert "stopped by a signal: " in ended.stderr
    assert "Traceback" not in ended.stderr
    done = asyncio.run(copies(folder))
    assert at in done  # what was begun is finished and committed
    assert len(done) == len(set(done))
    finish(folder)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("SIGTERM", "block"),
        ("SIGINT", "await"),
        pytest.param("SIGTERM", "await", marks=pytest.mark.slow),
        pytest.param("SIGINT", "block", marks=pytest.mark.slow),
    ],
)
def test_a_second_signal_ends_it_at_once(folder: Path, name: str, what: str) -> None:
    environment = {**os.environ, "AT": "1234", "SIGNAL": name, "DO": what}
    with subprocess.Popen(command(), cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "held up" not in process.stderr.readline():
            pass
        process.send_signal(signal.Signals[name])
        process.communicate()
    assert process.returncode == -signal.Signals[name]
    finish(folder)


# -- within one process


class Watcher(Silent):
    def __init__(self) -> None:
        self.ended: list[Stopped] = []
        self.restored: list[Restoring] = []

    def restoring(self, event: Restoring) -> None:
        self.restored.append(event)

    def stopped(self, summary: Stopped) -> None:
        self.ended.append(summary)


def counting(folder: Path, function: Callable[[int], int], **settings: Any) -> streams.App:
    app = streams.App("ending", data_dir=str(folder / "data"), store="memory", **settings)
    numbers = app.topic("numbers", key_type=str, value_type=int)
    numbers.stream().map_values(function, name="step").to(app.topic("copies", key_type=str, value_type=int))
    numbers.stream().group_by_key().count(name="counts")
    return app


async def test_a_stop_does_not_wait_for_a_back_off(folder: Path) -> None:
    def fails(value: int) -> int:
        raise OSError("not now")

    async def forever(seconds: float) -> None:
        worker.stop()
        await asyncio.Event().wait()

    app = counting(folder, fails, on_error=streams.retry(1_000, backoff="1h"))
    async with app.client() as client:
        await client.send_many("numbers", [("a", 1), ("b", 2)])
        worker = Worker(app, watcher := Watcher(), sleep=forever)
        await worker.run()
        assert watcher.ended[0].reason == "signal"
        again = counting(folder, lambda value: value)
        await Worker(again, Silent(), until_end=True).run()
        assert [record.value async for record in client.read("copies")] == [1, 2]
        assert await client.table("counts").get("a") == 1


async def test_a_stop_does_not_wait_for_a_restore(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(self: Restore, behind: Any) -> None:
        worker.stop()
        await asyncio.Event().wait()

    app = counting(folder, lambda value: value)
    async with app.client() as client:
        await client.send_many("numbers", [("a", 1), ("b", 2)])
        await Worker(app, Silent(), until_end=True).run()
        app = counting(folder, lambda value: value)
        worker = Worker(app, watcher := Watcher(), until_end=True)
        with monkeypatch.context() as patch:
            patch.setattr(Restore, "_read", endless)
            await worker.run()
        assert watcher.ended[0].reason == "signal"
        assert not any(event.done for event in watcher.restored)
        await Worker(app := counting(folder, lambda value: value), watcher := Watcher(), until_end=True).run()
        assert any(event.done for event in watcher.restored)
        assert watcher.ended[0].records == 0


async def test_a_stop_before_the_start(folder: Path) -> None:
    worker = Worker(counting(folder, lambda value: value), watcher := Watcher())
    worker.stop()
    await worker.run()
    assert watcher.ended[0].reason == "signal"
