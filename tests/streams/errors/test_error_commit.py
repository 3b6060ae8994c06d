"""Commits that fail, or of which nobody knows whether they did: nothing is lost, nothing counted twice."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import streams
from broker_embedded.errors import ConcurrentTransactionsError, KafkaStorageError
from broker_embedded.faults import Fault, Faults
from streams.errors import StreamsError, UserCodeError
from streams.runtime.assembly import Assembly
from streams.runtime.steps import on_step
from streams.runtime.task import Task
from streams.runtime.worker import UNKNOWN_OUTCOMES_MAX, Worker
from streams.transport.contract import TransportError, UnknownOutcomeError

PRODUCE, INIT_PRODUCER_ID, END_TXN = 0, 22, 26
VALUES = list(range(1, 41))
STORED = KafkaStorageError.info.code
GOING_ON = "going on from the last commit, as the log tells it: producer 'lab-"


def sums(lab: Any, **settings: Any) -> streams.App:
    """A source, a table by repartition, an agent with a table: all that a commit has to keep together."""
    app = lab.app(**settings)
    numbers = app.topic("numbers", key_type=str, value_type=int, partitions=2)
    copies = app.topic("copies", key_type=str, value_type=int)
    seen = app.Table("seen", key_type=str, value_type=int, default=int)

    @app.source(numbers)
    async def feed(position: int = 0) -> Any:
        for value in VALUES[position:]:
            if value % 10 == 0:
                await asyncio.sleep(0)  # so that there are several commits
            yield streams.Position(value), f"k{value % 3}", value

    @app.agent(numbers, sink=[copies])
    async def copy(stream: Any) -> Any:
        async for key, value in stream.items():
            seen[key] += 1
            yield value

    odd = numbers.stream().group_by(lambda value: "odd" if value % 2 else "even", name="parity", key_type=str)
    odd.reduce(lambda total, value: total + value, value_type=int, name="totals")
    return app


async def check(lab: Any, app: streams.App) -> None:
    assert sorted(record.value for record in await lab.read(app, "copies")) == VALUES
    async with app.client() as client:
        totals = [await client.table("totals").get(parity) for parity in ("odd", "even")]
        seen = [await client.table("seen").get(f"k{n}") for n in range(3)]
    assert totals == [sum(VALUES[::2]), sum(VALUES[1::2])]
    assert seen == [sum(value % 3 == n for value in VALUES) for n in range(3)]


def faults_of(client: Any, *faults: Fault) -> None:
    cluster = client._transport.cluster
    cluster.faults = Faults()
    for fault in faults:
        cluster.faults.add(fault)


# -- unknown outcomes


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
@pytest.mark.parametrize("after", [False, True], ids=["it did not commit", "it did commit"])
@pytest.mark.parametrize("times", [1, 3])
async def test_an_unknown_outcome_is_read_from_the_log(
    lab: Any, store: str, after: bool, times: int, caplog: pytest.LogCaptureFixture
) -> None:
    app = sums(lab)
    app.settings = app.settings.with_values({"store": store})
    async with lab.held(app) as client:
        faults_of(client, Fault(END_TXN, STORED, after=after, times=times))
        await lab.run(app)
        await check(lab, app)
    assert sum(record.message.startswith(GOING_ON) for record in caplog.records) == times
    assert (lab.watcher.failures, lab.watcher.ended[0].reason, len(lab.watcher.begun)) == ([], "end", 1)


async def test_outcomes_that_stay_unknown_end_the_worker(lab: Any) -> None:
    async with lab.held(app := sums(lab)) as client:
        faults_of(client, Fault(END_TXN, STORED, times=UNKNOWN_OUTCOMES_MAX + 1))
        with pytest.raises(UnknownOutcomeError):
            await lab.run(app)
        await lab.run(app := sums(lab))
        await check(lab, app)


async def test_a_transaction_that_timed_out_is_done_again(lab: Any) -> None:
    """The broker has shut the producer out, as after a laptop was asleep."""
    async with lab.held(app := sums(lab)) as client:
        worker = Worker(app, lab.watcher, until_end=True, now_ms=lab.clock.now_ms)
        transactions = client._transport.cluster.transactions
        shut_out: list[str] = []

        def expire(step: str) -> None:
            if step == "commit: send offsets" and not shut_out:
                (name,) = (name for name in transactions.by_id if name.startswith("lab-"))
                transactions.expire(transactions.by_id[name].started_ms + 10**6)
                shut_out.append(step)

        forget = on_step(expire)
        try:
            await worker.run()
        finally:
            forget()
        assert shut_out
        await check(lab, app)


async def test_what_timers_send_meanwhile_is_kept(lab: Any) -> None:
    app = lab.app()
    ticks = app.topic("ticks", value_type=int)
    app.topic("numbers", value_type=int).stream().for_each(lambda value: None)
    async with lab.held(app) as client:
        await client.send("numbers", value=b"1")
        faults_of(client, Fault(END_TXN, STORED))
        worker = Worker(app, lab.watcher, until_end=True)

        transports: list[Any] = []

        async def again(self: Any, original: Any = Assembly.again) -> Any:
            assert app.worker is not None
            await app.send(ticks, value=7)  # as a timer does, whenever it is due
            made = await original(self)
            transports.append(made.transport)
            return made

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Assembly, "again", again)
            await worker.run()
        assert len(transports) == 1
        assert [record.value for record in await lab.read(app, "ticks")] == [7]


# -- a broker that cannot


@pytest.mark.parametrize(
    ("key", "code"), [(PRODUCE, STORED), (INIT_PRODUCER_ID, ConcurrentTransactionsError.info.code)]
)
async def test_a_broker_that_refuses_ends_the_worker_and_loses_nothing(lab: Any, key: int, code: int) -> None:
    async with lab.held(app := sums(lab)) as client:
        faults_of(client, Fault(key, code))
        with pytest.raises(TransportError):
            await lab.run(app)
        assert lab.watcher.ended[0].reason == "failed"
        await lab.run(app := sums(lab))
        await check(lab, app)


# -- a full disk

FULL = """
import resource, sys, asyncio
import streams
from streams.cli import main

app = streams.App("full", data_dir=sys.argv[1], commit_interval_ms=1)
numbers = app.topic("numbers", key_type=str, value_type=str, partitions=1)
copies = app.topic("copies", key_type=str, value_type=str, partitions=1)
counts = numbers.stream().group_by_key().count(name="counts")
numbers.stream().to(copies)

@app.source(numbers)
async def feed(position=0):
    for n in range(position, 400):
        if n % 20 == 0:
            await asyncio.sleep(0)
        yield streams.Position(n + 1), f"k{n % 7}", f"{n:04}" * 100

@app.report
def totals():
    return [{"key": key, "count": count} for key, count in app.tables["counts"].items()]

if __name__ == "__main__":
    if sys.argv[2:] == ["full"]:
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
    sys.argv[1:] = ["worker", "--until-end", "--json", "-l", "error"]
    app.main()
"""


def test_a_full_disk_stops_the_worker_and_it_goes_on_with_room(folder: Path) -> None:
    """A limit on the size of files stands for the disk; it is met in the middle of the work."""
    program, data = folder / "full.py", folder / "data"
    program.write_text(FULL)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, program, data, *arguments], capture_output=True, text=True)

    stopped = run("full")
    assert (stopped.returncode, stopped.stdout) == (1, ""), stopped.stderr
    assert os.strerror(errno.EFBIG) in stopped.stderr
    assert "raise the limit on file sizes" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split('"count":')[1] for line in done.stdout.splitlines()] == ["58}"] + ["57}"] * 6

    async def copies() -> list[int]:
        async with streams.Client(data_dir=data) as client:
            return [int(record.value[:4]) async for record in client.read("copies")]

    assert asyncio.run(copies()) == list(range(400))


async def test_what_cannot_be_closed_does_not_hide_why_the_worker_failed(
    lab: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(self: Any) -> None:
        raise StreamsError("a step does not end")

    monkeypatch.setattr(Task, "close", broken)
    app = lab.app()
    app.topic("numbers", value_type=int).stream().map_values(lambda value: 1 // value)
    async with lab.held(app) as client:
        with pytest.raises(StreamsError, match="a step does not end"):
            await lab.run(app)
        assert lab.watcher.ended[0].reason == "failed"
        await client.send("numbers", value=b"0")
        with pytest.raises(UserCodeError, match="ZeroDivisionError"):
            await lab.run(app)
    assert len(lab.watcher.failures) == 1
    assert caplog.records[-1].message == "while closing: a step does not end"
