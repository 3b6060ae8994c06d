"""Through one map, topic to topic, as records come: 1,000 and 10,000 a second for 20 s.

`python -m benchmarks latency --transport kafka`. A process of its own sends and measures (`latency_client`), from the
call that sends a record until a read-committed consumer has its result. Beside each: commits a second, and the bytes
that all topics but the input have grown by for each record, Kafka's own topics included.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.broker_process import cpu_s, peak_mb
from benchmarks.data import CACHE, Dataset
from benchmarks.workload import Answer, Inputs
from tests.interop.apache_kafka import LineProcess

if TYPE_CHECKING:
    from benchmarks.kafka import Kafka
    from benchmarks.topics import Log

N = 1_000
PEERS = ("kafka-streams", "quix", "faust")
CLOSING = False
CLOCK = "latency"

INPUT, OUTPUT = "events", "doubled"
RATES = (1_000, 10_000)
SECONDS, WARM_UP_S = 20.0, 5.0
WAIT_S = 120.0


def inputs(dataset: str, n: int) -> Inputs:
    return {INPUT: Dataset(dataset, n)}


def expected(inputs: Inputs) -> Answer:
    return {}


def found(log: Log, inputs: Inputs) -> Answer:
    return {}


@dataclass(frozen=True)
class Offered:
    """What the client sends."""

    address: str
    input: str
    output: str
    rate: int
    seconds: float
    warm_up_s: float = WARM_UP_S


@contextmanager
def worker(kafka: Kafka, settings: Mapping[str, str]) -> Iterator[int]:
    """Our worker by its command; gives its process id."""
    with tempfile.TemporaryDirectory(dir=CACHE / "runs", prefix="latency-") as folder:
        own = {"STREAMS_BROKER": f"kafka://{kafka.address}", "STREAMS_DATA_DIR": folder}
        environment = {**os.environ, **settings, **own}
        command = [str(Path(sys.executable).with_name("streams")), "worker", "benchmarks.latency_app:app"]
        with (CACHE / "latency.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def measure(kafka: Kafka, pid: int, group: str, rate: int, seconds: float = SECONDS) -> dict[str, Any]:
    """The figures of one rate, through the worker `pid`. Every record has to come back once, doubled."""
    offered = Offered(kafka.address, INPUT, OUTPUT, rate, seconds)
    command = [sys.executable, "-m", "benchmarks.latency_client", json.dumps(asdict(offered))]
    client = LineProcess(command, {}, log=CACHE / "latency-client.log")
    try:
        client.read(WAIT_S)  # that what is measured begins
        kafka.begin()
        began = cpu_s(pid), kafka.log_bytes(), kafka.commits(group)
        figures: dict[str, Any] = json.loads(client.read(WAIT_S))
        ended = cpu_s(pid), kafka.log_bytes(), kafka.commits(group)
    finally:
        client.kill()
    cpu, written, commits = (after - before for before, after in zip(began, ended, strict=True))
    return {
        **figures,
        "cpu_s": cpu,
        "peak_rss_mb": peak_mb(pid),
        "commits_per_s": commits / figures["seconds"],
        "bytes_per_record": written / figures["n"],
        **kafka.figures(),
    }
