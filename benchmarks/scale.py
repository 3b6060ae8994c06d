"""How cost grows: `windowed` with more workers, more distinct keys, more history.

`python -m benchmarks scale`, or `scale keys history`. Each figure is a share of the first of its axis: a rate that is
flat stays at 1. With several workers the rate is that of the last nine tenths of the input: who starts when does not
count. The gain of more workers ends where the processors of the machine do, the broker's share among them.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import windowed, workload
from benchmarks.broker_process import cpu_s, peak_mb
from benchmarks.data import CACHE
from benchmarks.harness import FailedRunError, Plan
from benchmarks.kafka import Kafka, started
from benchmarks.topics import Log
from streams.transport.contract import Transport

AXES: dict[str, tuple[int, ...]] = {
    "workers": (1, 2, 4),
    "keys": (1_000, 100_000, 1_000_000),
    "history": (1, 10, 100),
}
HISTORY_N = 100_000
"""Records at a history of 1."""
BEGIN_SHARE = 0.1
WORK_S, POLL_S = 600.0, 0.01

Line = dict[str, Any]


def cells(axis: str, n: int, runs: int, transport: str, kafka: Kafka | None) -> Iterator[Line]:
    """One line for each place on an axis and round."""
    plan = Plan("windowed", "events", n, runs, (), transport=transport, kafka=kafka)
    for at in AXES[axis]:
        if axis == "workers":
            if kafka is None:
                raise FailedRunError("several workers are measured on a Kafka: --transport kafka")
            lines: Iterator[Line] = (with_workers(kafka, n, at) for _ in range(runs))
        elif axis == "keys":
            lines = replace(plan, dataset=f"keys-{at}").lines()
        else:
            lines = replace(plan, n=HISTORY_N * at).lines()
        for line in lines:
            yield {**line, "workload": "scale", "axis": axis, "at": at}


def with_workers(kafka: Kafka, n: int, workers: int) -> Line:
    """The rate of so many processes of one app under their supervisor; the answer is right."""
    inputs = windowed.inputs("events", n)
    kafka.load(inputs, closing=True)
    with tempfile.TemporaryDirectory(dir=CACHE / "runs", prefix="scale-") as folder:
        environment = os.environ | {"STREAMS_BROKER": f"kafka://{kafka.address}", "STREAMS_DATA_DIR": folder}
        command = [str(Path(sys.executable).with_name("streams")), "worker", "benchmarks.scale_app:app"]
        with (CACHE / "scale.log").open("wb") as log:
            process = subprocess.Popen([*command, "--workers", str(workers)], env=environment, stdout=log, stderr=log)
        try:
            kafka.begin()
            figures = kafka.place.run(lambda transport: _watch(transport, kafka, process.pid))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)
        workload.check(windowed.found(Log(kafka.place, {}), inputs), windowed.expected(inputs))
    broker = kafka.figures()
    kafka.clean()
    return {"system": "streams", "transport": "kafka", **figures, **broker, "answer_ok": True}


async def _watch(transport: Transport, kafka: Kafka, supervisor: int) -> dict[str, float]:
    """From a tenth of the input committed to all of it."""
    import asyncio

    ends = await transport.latest(kafka.partitions("events"))
    total, began, deadline = sum(ends.values()), None, time.monotonic() + WORK_S
    while time.monotonic() < deadline:
        committed = await transport.committed("windowed", ends)
        done = sum(at.offset for at in committed.values() if at is not None)
        now, pids = time.monotonic(), processes(supervisor)
        if began is None and done >= BEGIN_SHARE * total:
            began = now, sum(map(cpu_s, pids)), done
        if began is not None and done >= total:
            seconds, cpu, count = now - began[0], sum(map(cpu_s, pids)) - began[1], total - began[2]
            peak = sum(map(peak_mb, pids))
            return {"n": count, "events_per_s": count / seconds, "cpu_s": cpu, "peak_rss_mb": peak}
        await asyncio.sleep(POLL_S)
    raise FailedRunError(f"the group has not come to the end in {WORK_S} s")


def processes(supervisor: int) -> list[int]:
    """The workers of a supervisor, and it."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [supervisor, *map(int, children)]


def main(arguments: list[str]) -> int:
    """Measures, prints, and gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks scale", description=__doc__)
    parser.add_argument("axes", nargs="*", metavar="AXIS", help=", ".join(AXES))
    parser.add_argument("--transport", choices=("embedded", "kafka"), default="kafka")
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args(arguments)
    axes = options.axes or [axis for axis in AXES if axis != "workers" or options.transport == "kafka"]
    try:
        if options.transport == "kafka":
            with started() as kafka:
                _measure(axes, options, kafka)
        else:
            _measure(axes, options, None)
    except (FailedRunError, workload.WrongAnswerError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _measure(axes: list[str], options: argparse.Namespace, kafka: Kafka | None) -> None:
    for axis in axes:
        lines = []
        for line in cells(axis, options.n, options.runs, options.transport, kafka):
            print(json.dumps(line), flush=True)
            lines.append(line)
        print(json.dumps(summary(axis, lines)))


def summary(axis: str, lines: Sequence[Line]) -> Line:
    """Rate and processor time for a record at each place, as shares of those at the first.

    >>> lines = [{"at": at, "n": 10, "events_per_s": rate, "cpu_s": 1.0} for at, rate in ((1, 100), (2, 150))]
    >>> summary("workers", lines)
    {'summary': 'scale workers', 'rate': {1: 1.0, 2: 1.5}, 'cpu': {1: 1.0, 2: 1.0}}
    """
    rates: dict[int, list[float]] = {}
    costs: dict[int, list[float]] = {}
    for line in lines:
        rates.setdefault(line["at"], []).append(line["events_per_s"])
        costs.setdefault(line["at"], []).append(line["cpu_s"] / line["n"])
    return {"summary": f"scale {axis}", "rate": _shares(rates), "cpu": _shares(costs)}


def _shares(of: dict[int, list[float]]) -> dict[int, float]:
    medians = {at: statistics.median(figures) for at, figures in of.items()}
    first = next(iter(medians.values()))
    return {at: round(figure / first, 3) for at, figure in medians.items()}
