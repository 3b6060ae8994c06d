"""How cost grows: `windowed` with more workers, more distinct keys, more history.

`python -m benchmarks scale`, or `scale keys turns history`. Each figure is a share of the first of its axis: a rate
that is flat stays at 1. Workers are processes under their supervisor, on a Kafka; their rate is that of the last nine
tenths of the input, as who starts when does not count. The gain of more workers ends where the processors of the
machine do, so the processors that the broker kept busy meanwhile stand beside it.

With more keys there are more groups of key and window in as many events (`groups_per_event`): with 1,000 keys a group
has ten events, with a million each event is a group of its own, and a result. So `turns` has keys that come in turn,
ten thousand of them in a window however many there are in all: as much work for each event, and only the keys grow.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from benchmarks import windowed, workload
from benchmarks.broker_process import cpu_s, peak_mb
from benchmarks.data import CACHE
from benchmarks.harness import FailedRunError, Plan, ours_here, versions
from benchmarks.kafka import Kafka, started
from benchmarks.results import Results, today
from benchmarks.topics import Log
from streams.transport.contract import Transport

AXES: dict[str, tuple[int, ...]] = {
    "workers": (1, 2),
    "keys": (1_000, 100_000, 1_000_000),
    "turns": (10_000, 100_000, 1_000_000),
    "history": (1, 10, 100),
}
HISTORY_N = 100_000
"""Records at a history of 1."""
WORKERS_N, KEYS_N = 4_000_000, 1_000_000
ROUNDS_MAX = 2
"""In a comparison of everything: the largest history takes long."""
CPU_GOAL, RATE_GOAL = 1.15, 0.8
"""Processor time for a record with two workers is at most so much of that with one; the rate with more keys or history
at least so much of that with the fewest."""
BEGIN_SHARE = 0.1
WORK_S, POLL_S = 600.0, 0.01

Line = dict[str, Any]


def lines(kafka: Kafka | None, n: int | None, rounds: int, axes: Sequence[str] = tuple(AXES)) -> Iterator[Line]:
    """One line for each place on an axis and round; on a Kafka the workers, embedded the rest."""
    for axis in axes:
        for at in AXES[axis]:
            for line in _place(axis, at, n, rounds, kafka):
                yield {**line, "workload": "scale", "axis": axis, "at": at}


def _place(axis: str, at: int, n: int | None, rounds: int, kafka: Kafka | None) -> Iterator[Line]:
    if axis == "workers":
        if kafka is None:
            raise FailedRunError("several workers are measured on a Kafka: --transport kafka")
        for run in range(rounds):
            yield {**with_workers(kafka, n or WORKERS_N, at), "run": run}
        return
    dataset, records = ("events", (n or HISTORY_N) * at) if axis == "history" else (f"{axis}-{at}", n or KEYS_N)
    groups = len(windowed.expected(windowed.inputs(dataset, records)))
    for line in Plan("windowed", dataset, records, rounds, (), ours=ours_here()[:1]).lines():
        yield {**line, "groups_per_event": round(groups / records, 3)}


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
            figures = kafka.place.run(lambda transport: _watch(transport, kafka, process.pid))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)
        workload.check(windowed.found(Log(kafka.place, {}), inputs), windowed.expected(inputs))
    kafka.clean()
    stamp = {"transport": "kafka", "dataset": "events", "versions": versions(), "answer_ok": True}
    return {"system": ours_here()[0], **stamp, **figures}


async def _watch(transport: Transport, kafka: Kafka, supervisor: int) -> dict[str, float]:
    """From a tenth of the input committed to all of it."""
    import asyncio

    ends = await transport.latest(kafka.partitions("events"))
    total, began, deadline = sum(ends.values()), None, time.monotonic() + WORK_S
    while time.monotonic() < deadline:
        committed = await transport.committed("windowed", ends)
        done = sum(at.offset for at in committed.values() if at is not None)
        now, pids = time.monotonic(), processes(supervisor)
        if began is None and done >= total:
            raise FailedRunError("the workers were done at the first look: give them more records (--n)")
        if began is None and done >= BEGIN_SHARE * total:
            kafka.begin()
            began = now, sum(map(cpu_s, pids)), done
        if began is not None and done >= total:
            seconds, cpu, count = now - began[0], sum(map(cpu_s, pids)) - began[1], total - began[2]
            peak = sum(map(peak_mb, pids))
            figures = {"seconds": seconds, "events_per_s": count / seconds, "cpu_s": cpu, "peak_rss_mb": peak}
            return {"n": count} | {name: round(figure, 3) for name, figure in (figures | kafka.figures()).items()}
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
    parser.add_argument("--n", type=int, help="records; of history, those of its first place")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="append the lines to the results of this day")
    options = parser.parse_args(arguments)
    axes = options.axes or list(AXES)
    kept = Results(today()) if options.record else None
    found: list[Line] = []
    try:
        with started() if "workers" in axes else nullcontext() as kafka:
            for line in lines(kafka, options.n, options.rounds, axes):
                found.append(line)
                print(json.dumps(line if kept is None else kept.add(line)), flush=True)
    except (FailedRunError, workload.WrongAnswerError) as error:
        print(error, file=sys.stderr)
        return 1
    for axis in axes:
        print(json.dumps(summary(axis, found)))
    return 0


def summary(axis: str, lines: Sequence[Line]) -> Line:
    """Rate and processor time for a record at each place, as shares of those at the first; memory; the broker's cores.

    >>> line = {"axis": "keys", "n": 10, "cpu_s": 1.0}
    >>> found = summary("keys", [line | {"at": 1, "events_per_s": 9}, line | {"at": 2, "events_per_s": 6}])
    >>> found["rate"], found["cpu"]
    ({1: 1.0, 2: 0.667}, {1: 1.0, 2: 1.0})
    """
    of = [line for line in lines if line.get("axis") == axis]
    on_kafka = [line for line in of if "broker_cpu_s" in line]
    return {
        "summary": f"scale {axis}",
        "rate": _shares(_medians(of, lambda line: float(line["events_per_s"]))),
        "cpu": _shares(_medians(of, lambda line: float(line["cpu_s"] / line["n"]))),
        "peak_rss_mb": _medians(of, lambda line: float(line.get("peak_rss_mb", 0.0))),
        "broker_cores": _medians(on_kafka, lambda line: float(line["broker_cpu_s"] / line["seconds"])),
    }


def _medians(lines: Sequence[Line], figure: Callable[[Line], float]) -> dict[int, float]:
    """Of the rounds at each place."""
    places = dict.fromkeys(int(line["at"]) for line in lines)
    return {at: round(statistics.median(figure(of) for of in lines if of["at"] == at), 9) for at in places}


def _shares(medians: dict[int, float]) -> dict[int, float]:
    first = next(iter(medians.values()), 1.0)
    return {at: round(figure / first, 3) for at, figure in medians.items()}
