"""`streams worker --workers N`: the answer of one worker, whoever is killed meanwhile."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from tests.streams.supervisor.shop import ROWS, SOLD, Shop, until

SLOW = pytest.mark.slow


@pytest.fixture
def shop(folder: str) -> Iterator[Shop]:
    with ExitStack() as stack:
        yield Shop(Path(folder), stack)


@SLOW
@pytest.mark.parametrize("workers", [1, 4])
def test_the_answer_of_one_worker(shop: Shop, workers: int) -> None:
    found, said = shop.run("shop:app", "--workers", str(workers))
    assert found == SOLD
    assert shop.bills() == list(range(ROWS))
    assert len(set(re.findall(r"^\[(\d)\] pid", said, re.MULTILINE))) == workers, "all of them worked"


@SLOW
@pytest.mark.parametrize("app", ["examples.word_count:app", "examples.flights:app"])
def test_examples(shop: Shop, app: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMS_MAX_TASK_IDLE_MS", "5000")  # on a busy machine planes come late
    alone = shop.run(app, "--data-dir", "alone")[0]
    assert shop.run(app, "--data-dir", "several", "--workers", "3")[0] == alone


@SLOW
@pytest.mark.parametrize("who", ["a worker", "the broker"])
def test_who_is_killed_is_started_again_and_nothing_counts_twice(shop: Shop, who: str) -> None:
    process = shop.start("shop:app", "--workers", "2", "--until-end", "--json")
    at_work = until(process, r"at \d00", r"pid (\d+) at")
    pid = int(at_work.group(1)) if who == "a worker" else shop.holder()
    os.kill(pid, signal.SIGKILL)
    until(process, rf"\(pid {pid}\) has ended: SIGKILL. It is started again")
    output, said = process.communicate()
    assert process.returncode == 0, said
    assert [json.loads(line) for line in output.splitlines()] == SOLD
    assert shop.bills() == list(range(ROWS))


@SLOW
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(int(os.environ.get("KILL_SEEDS", "1"))))
def test_kills_in_a_row(shop: Shop, seed: int) -> None:
    draw = Random(seed)
    process = shop.start("shop:app", "--workers", "3", "--until-end", "--json")
    for _ in range(5):
        worker = int(until(process, r"pid (\d+) at").group(1))
        pid = draw.choice([worker, worker, shop.holder()])
        os.kill(pid, signal.SIGKILL)
        until(process, rf"\(pid {pid}\) has ended: SIGKILL. It is started again")
    output, said = process.communicate()
    assert process.returncode == 0, said
    assert [json.loads(line) for line in output.splitlines()] == SOLD
    assert shop.bills() == list(range(ROWS))


@SLOW
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_stopped_and_gone_on_with_fewer(shop: Shop, number: signal.Signals, code: int) -> None:
    process = shop.start("shop:app", "--workers", "3")
    until(process, r"\[3\] .* is in generation")  # so that it has a seat
    process.send_signal(number)
    process.communicate()
    assert process.returncode == code
    found, said = shop.run("shop:app", "--workers", "2")
    assert found == SOLD
    assert shop.bills() == list(range(ROWS))
    assert re.search("seats given up: shop-[0-9a-f]{8}-2$", said, re.MULTILINE)


@SLOW
def test_workers_whose_supervisor_is_killed_commit_and_end(shop: Shop) -> None:
    process = shop.start("shop:app", "--workers", "2")
    until(process, r"at \d00")
    process.kill()
    process.communicate()
    for slot in (0, 1):
        with open(shop.data / "seats" / "shop" / f"slot-{slot}") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # when its worker is gone
    found, _ = shop.run("shop:app", "--workers", "2")
    assert found == SOLD
    assert shop.bills() == list(range(ROWS))
