"""The supervisor over processes that stand in for workers."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from streams.runtime.observer import Progress, Silent, Started, Stopped
from streams.supervisor import restarts, supervisor
from streams.supervisor.supervisor import Crew, Supervisor

ROOT = Path(__file__).parents[3]
STAND_IN = str(Path(__file__).with_name("stand_in.py"))


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(restarts, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(supervisor, "TICK_S", 0.01)


class Seen(Silent):
    """What is told of all workers together; `when_moved` is called with every word of how far they are."""

    def __init__(self) -> None:
        self.info: Started | None = None
        self.moved: list[Progress] = []
        self.summary: Stopped | None = None
        self.when_moved: Callable[[Progress], object] = lambda progress: None

    def started(self, info: Started) -> None:
        assert self.info is None, "a second banner"
        self.info = info

    def progress(self, stats: Progress) -> None:
        self.moved.append(stats)
        self.when_moved(stats)

    def stopped(self, summary: Stopped) -> None:
        self.summary = summary


class Running:
    """A supervisor with what it said."""

    def __init__(self, workers: int, *steps: str, broker: list[str] | None = None, **more: Any) -> None:
        command = [sys.executable, STAND_IN]
        self.seen = Seen()
        self.out: list[str] = []
        self.err: list[str] = []
        self.heard: list[tuple[str, Callable[[], object]]] = []
        before: Callable[[], Awaitable[None]] = more.pop("before", supervisor.nothing)
        self.supervisor = Supervisor(
            Crew(workers, [*command, *steps], None if broker is None else [*command, *broker], **more),
            self.seen,
            out=self.out.append,
            err=self.line,
            before=before,
        )

    def line(self, line: str) -> None:
        self.err.append(line)
        for pattern, action in list(self.heard):
            if re.search(pattern, line):
                self.heard.remove((pattern, action))
                action()

    def when(self, pattern: str, action: Callable[[], object]) -> None:
        """Does something at the first line that has the pattern."""
        self.heard.append((pattern, action))

    async def run(self) -> int:
        async with asyncio.timeout(100):
            return await self.supervisor.run()


def stop_at(running: Running, records: int) -> None:
    running.seen.when_moved = lambda progress: running.supervisor.stop() if progress.records == records else None


async def test_it_starts_adds_up_and_stops_all() -> None:
    running = Running(3, "begin", "move:100", "wait")
    stop_at(running, 300)
    assert await running.run() == 0
    assert running.seen.info is not None and running.seen.info.workers == 3
    assert running.seen.moved[-1]._replace(elapsed_s=0) == Progress(300, 15.0, 3, 9, None, 0)
    assert running.seen.summary is not None and running.seen.summary[:3] == ("signal", 300, 3)


async def test_lines_come_whole_and_with_who_wrote_them() -> None:
    running = Running(2, "say:hello", "write:no end", "begin", "move:1", "wait")
    stop_at(running, 2)
    assert await running.run() == 0
    assert sorted(running.out) == ["hello", "hello"]
    assert sorted(running.err) == ["[1] hello", "[1] no end", "[2] hello", "[2] no end"]


async def test_who_is_killed_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    running = Running(2, "begin", "move:7", "once:killed", "die")
    stop_at(running, 28)  # what both processes of both workers have counted
    assert await running.run() == 0
    assert len(caplog.messages) == 2
    assert all("SIGKILL. It is started again in 0.0 s" in message for message in caplog.messages)
    assert running.seen.summary is not None and running.seen.summary.records == 28


async def test_who_fails_again_and_again_ends_all(caplog: pytest.LogCaptureFixture) -> None:
    running = Running(2, "begin", "broke:flights-0 @ 7: no such plane", "exit:1")
    assert await running.run() == 1
    assert re.search(
        "worker . has failed 5 times in a row, the last time with: flights-0 @ 7: no such plane", caplog.text
    )
    assert running.seen.summary is not None and running.seen.summary.reason == "failed"


async def test_who_cannot_even_begin_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    running = Running(2, "broke:no such topic", "exit:2")
    assert await running.run() == 2
    assert "could not begin: no such topic" in caplog.text and "again" not in caplog.text


async def test_all_end_together() -> None:
    running = Running(3, "begin", "move:5", "end", until_end=True)
    assert await running.run() == 0
    assert running.seen.summary is not None and running.seen.summary[:2] == ("end", 15)


async def test_the_end_waits_for_who_was_killed(caplog: pytest.LogCaptureFixture) -> None:
    running = Running(3, "begin", "move:5", "first:die", "end", until_end=True)
    assert await running.run() == 0
    assert len(caplog.messages) == 1
    assert running.seen.summary is not None and running.seen.summary[:2] == ("end", 20)


async def test_a_worker_that_gets_work_from_another_goes_on() -> None:
    """It has said that it is at the end before the other had committed; the second question finds it at work."""
    running = Running(2, "begin", "move:5", "late:6", until_end=True)
    assert await running.run() == 0
    assert running.seen.summary is not None and running.seen.summary[:2] == ("end", 16)


async def test_a_second_signal_kills(caplog: pytest.LogCaptureFixture) -> None:
    running = Running(2, "begin", "block")
    running.when("deaf", lambda: running.when("deaf", running.supervisor.stop))
    running.when("told", running.supervisor.kill)
    assert await running.run() == 1
    assert running.seen.summary is not None and running.seen.summary.reason == "failed"


async def test_the_broker_comes_first_and_ends_last() -> None:
    order: list[str] = []

    async def before() -> None:
        order.append("before")

    running = Running(2, "say:worker", "begin", "move:1", "wait", broker=["say:broker", "wait"], before=before)
    running.when("broker", lambda: order.append("broker"))
    running.when("worker", lambda: order.append("worker"))
    stop_at(running, 2)
    assert await running.run() == 0
    assert order == ["broker", "before", "worker"]


async def test_the_report_is_that_of_one_process_when_all_have_ended() -> None:
    running = Running(2, "report:the sum", "begin", "move:1", "wait", reports=True)
    stop_at(running, 2)
    assert await running.run() == 0
    assert running.out == ["the sum"]


async def test_a_broker_that_is_killed_is_started_again() -> None:
    running = Running(1, "begin", "wait", broker=["begin", "say:again", "once:killed", "die"])
    running.when("again", lambda: running.when("again", running.supervisor.stop))
    assert await running.run() == 0


async def test_pipes_that_another_process_keeps_do_not_hold_the_end_up(tmp_path: Path) -> None:
    running = Running(1, "begin", "hold", "move:1", "wait")
    stop_at(running, 1)
    try:
        assert await running.run() == 0
    finally:
        for file in tmp_path.glob("held-*"):
            os.kill(int(file.read_text()), signal.SIGKILL)


SUPERVISOR = """
import asyncio, sys
from streams.runtime.observer import Silent
from streams.supervisor.supervisor import Crew, Supervisor

async def main():
    crew = Crew(2, [sys.executable, sys.argv[1], "lock:held", "say:up", "wait"])
    await Supervisor(crew, Silent(), out=lambda line: print(line, flush=True), err=lambda line: None).run()

asyncio.run(main())
"""


def test_workers_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SUPERVISOR, STAND_IN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["up\n", "up\n"]
        process.kill()
    for worker in (1, 2):
        with open(tmp_path / f"held-{worker}") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # when it is gone
