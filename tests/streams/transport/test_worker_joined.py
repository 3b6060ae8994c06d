"""A worker on a folder that another process holds, and another worker beside it; killed and started, in any order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import streams
from broker_embedded.lock import FolderLock, held_by

STREAMS = str(Path(sys.executable).parent / "streams")
CLIENT = str(Path(__file__).with_name("joined_process.py"))
ROOT = Path(__file__).parents[3]
MEMORY_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None

SHOP = """
import asyncio
import streams

app = streams.App("shop", data_dir="./shop-data", commit_interval_ms=5, batch_records_max=20)
orders = app.topic("orders", key_type=str, value_type=int, partitions=2)
bills = app.topic("bills", key_type=str, value_type=int)
counts = app.Table("counts", key_type=str, value_type=int, default=int, partitions=2)


@app.source(orders)
async def feed(position=0):
    for n in range(position, 200):
        yield streams.Position(n + 1), f"item-{n % 7}", n


@app.agent(orders, sink=[bills])
async def bill(stream):
    async for item, number in stream.items():
        counts[item] += 1
        yield number


@app.report
def sold():
    return [{"item": item, "count": count} for item, count in sorted(counts.items())]
"""
COPIES = """
import streams

app = streams.App("copies", data_dir="./shop-data", store="memory")
bills = app.topic("bills", key_type=str, value_type=int)
bills.stream().to(app.topic("copies", key_type=str, value_type=int))
"""
SOLD = [{"report": "sold", "item": f"item-{n}", "count": len(range(n, 200, 7))} for n in range(7)]

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def shop() -> Iterator[Path]:
    """The data folder of two apps, without state the second."""
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK) as made:
        (Path(made) / "shop.py").write_text(SHOP)
        (Path(made) / "copies.py").write_text(COPIES)
        yield Path(made) / "shop-data"


@pytest.fixture
def start(shop: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def process(*command: str) -> subprocess.Popen[str]:
            started = subprocess.Popen(
                command,
                cwd=shop.parent,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(started)
            stack.callback(started.kill)
            return started

        yield process


def client(start: Start) -> subprocess.Popen[str]:
    """A process that has the folder open, or has joined the one that holds it."""
    process = start(sys.executable, CLIENT, "./shop-data")
    assert process.stdout is not None
    assert process.stdout.readline(), "it has ended"
    return process


def worker(start: Start, app: str) -> tuple[subprocess.Popen[str], str]:
    """One that goes on until it is stopped, at work, and on what it says it is."""
    process = start(STREAMS, "worker", f"{app}:app")
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if " worker   " in line:
            return process, next(row.partition("broker")[2].strip() for row in said.split("\n") if " broker " in row)
    raise AssertionError(f"it has ended: {said}")


def run(start: Start, app: str) -> tuple[int, str, str]:
    """A worker that comes to the end of the input: exit code, report, messages."""
    process = start(STREAMS, "worker", f"{app}:app", "--until-end", "--json")
    report, messages = process.communicate()
    return process.returncode, report, messages


def holder(shop: Path) -> int | None:
    return held_by(shop / "log")


async def values(shop: Path, topic: str, number: int | None = None) -> list[int]:
    """What a topic holds, or its first records as they come."""
    found: list[int] = []
    async with streams.Client(data_dir=shop) as reader:
        async for record in reader.read(topic, follow=number is not None):
            found.append(int(record.value))
            if len(found) == number:
                break
    return found


@pytest.mark.slow
async def test_a_client_holds_the_folder(shop: Path, start: Start) -> None:
    first = client(start)
    code, report, messages = run(start, "shop")
    assert code == 0, messages
    assert f"embedded broker in ./shop-data, held by process {first.pid}\n" in messages
    assert [json.loads(line) for line in report.splitlines()] == SOLD
    assert set(Counter(await values(shop, "bills")).values()) == {1}
    code, report, messages = run(start, "shop")  # its tables are there
    assert (code, [json.loads(line) for line in report.splitlines()]) == (0, SOLD)
    assert "anew" not in messages and " 0 records" in messages
    assert holder(shop) == first.pid


@pytest.mark.slow
async def test_a_worker_comes_back_while_clients_run(shop: Path, start: Start) -> None:
    first, where = worker(start, "shop")
    assert where == "embedded broker in ./shop-data"
    service = client(start)
    first.kill()
    first.wait()
    assert len(await values(shop, "bills", 1)) == 1  # whoever holds the folder now has settled what was open
    second, where = worker(start, "shop")
    assert where == f"embedded broker in ./shop-data, held by process {service.pid}"
    service.kill()
    service.wait()
    assert sorted(await values(shop, "bills", 200)) == list(range(200))
    other = client(start)
    assert holder(shop) == second.pid
    second.terminate()
    assert second.wait() == 0
    assert sorted(await values(shop, "bills")) == list(range(200))
    client(start)
    assert holder(shop) == other.pid


@pytest.mark.parametrize(
    ("app", "served_by"),
    [
        pytest.param("shop", "the worker", marks=pytest.mark.slow),
        pytest.param("copies", "a client", marks=pytest.mark.slow),
        pytest.param("shop", "a client", marks=pytest.mark.slow),
        pytest.param("copies", "the worker", marks=pytest.mark.slow),
    ],
)
def test_a_second_worker_of_an_app_shares_its_work(app: str, served_by: str, start: Start) -> None:
    if served_by == "a client":
        client(start)
    first, _ = worker(start, app)
    code, _, messages = run(start, app)
    assert code == 0, messages
    assert "Traceback" not in messages
    first.terminate()
    assert first.wait() == 0, "the second one has not disturbed it"
    assert run(start, app)[0] == 0


@pytest.mark.slow
async def test_apps_share_a_folder(shop: Path, start: Start) -> None:
    first, _ = worker(start, "shop")
    second, where = worker(start, "copies")
    assert where == f"embedded broker in ./shop-data, held by process {first.pid}"
    first.kill()
    first.wait()
    third, _ = worker(start, "shop")
    assert sorted(await values(shop, "copies", 200)) == list(range(200))
    for process in (second, third):
        process.terminate()
        assert process.wait() == 0


def test_a_worker_lets_go_of_its_app_when_it_fails(shop: Path, start: Start) -> None:
    (shop / "log").mkdir(parents=True)
    (shop / "log" / "meta.properties").write_text("nothing")
    assert run(start, "shop")[0] == 1
    FolderLock.take(shop / "seats" / "shop", "slot-0").release()
