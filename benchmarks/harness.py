"""Runs systems one after the other, each in a fresh process, and sums up what they took."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import workload
from benchmarks.data import CACHE
from benchmarks.measure import Job

Line = dict[str, Any]

BARE = ("-c", "import asyncio, numpy")


class FailedRunError(Exception):
    """A run that ended without a figure: a crash, or a wrong answer."""


@dataclass(frozen=True)
class Plan:
    """What one invocation measures."""

    workload: str
    dataset: str
    n: int
    runs: int
    peers: tuple[str, ...]
    ours: bool = True
    transport: str = "embedded"
    profile: bool = False

    def lines(self) -> Iterator[Line]:
        """One line a run; the order of the systems turns round from round to round."""
        systems = (*(("streams",) if self.ours else ()), *self.peers)
        for run in range(self.runs):
            for system in systems if run % 2 == 0 else reversed(systems):
                yield self._line(system, run)

    def _line(self, system: str, run: int) -> Line:
        figures = _RUN[system.partition(":")[0]](self, system)
        n = figures.pop("n", self.n)
        seconds = figures["seconds"]
        return {
            "workload": self.workload,
            "system": system,
            "transport": self.transport,
            "dataset": self.dataset,
            "n": n,
            "run": run,
            "events_per_s": None if self.workload == "start" else round(n / seconds),
            **{name: round(figure, 4) for name, figure in figures.items()},
            "versions": versions(),
            "answer_ok": True,
        }


def summary(plan: Plan, lines: Sequence[Line]) -> Line:
    """Medians of each system, and ours as a share of each peer: the median, smallest and largest of the rounds' ratios.

    For `start` the ratio is of times, so less is better.
    """
    figure = "seconds" if plan.workload == "start" else "events_per_s"
    by_system: dict[str, list[Line]] = defaultdict(list)
    for line in sorted(lines, key=lambda line: int(line["run"])):
        by_system[line["system"]].append(line)
    ours = by_system.get("streams", [])
    peers = plan.peers if ours else ()
    module = workload.load(plan.workload)
    return {
        "summary": plan.workload,
        "dataset": plan.dataset,
        "n": plan.n,
        "runs": plan.runs,
        "medians": {system: _medians(of, (figure, "peak_rss_mb", "cpu_s")) for system, of in by_system.items()},
        "ratio": {
            peer: _spread([a[figure] / b[figure] for a, b in zip(ours, by_system[peer], strict=True)]) for peer in peers
        },
        "cpu_ratio": {
            peer: _spread([_per_cpu(a) / _per_cpu(b) for a, b in zip(ours, by_system[peer], strict=True)])
            for peer in peers
            if all("cpu_s" in line for line in by_system[peer])
        },
        "target": {module.PEERS[0]: module.TARGET},
    }


def _per_cpu(line: Line) -> float:
    """Records for each second of processor time: what the machine's other work disturbs less."""
    return float(line["n"] / line["cpu_s"])


def _medians(lines: Sequence[Line], names: Sequence[str]) -> dict[str, float]:
    return {name: statistics.median(line[name] for line in lines) for name in names if name in lines[0]}


def _spread(ratios: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(ratios), 3),
        "min": round(min(ratios), 3),
        "max": round(max(ratios), 3),
    }


def _run_bound(plan: Plan, system: str) -> dict[str, Any]:
    _, _, loop = system.partition(":")
    name = loop or plan.workload
    n = plan.n if name == plan.workload else workload.load(name).N
    return {"n": n, **_measure(Job(name, "bound-dict", plan.dataset, n))}


def _run_streams(plan: Plan, system: str) -> dict[str, Any]:
    from benchmarks import embedded

    module = workload.load(plan.workload)
    inputs = module.inputs(plan.dataset, plan.n)
    (CACHE / "runs").mkdir(parents=True, exist_ok=True)
    data_dir = Path(tempfile.mkdtemp(dir=CACHE / "runs", prefix=f"{plan.workload}-"))
    try:
        embedded.load(data_dir, inputs, closing=module.CLOSING)
        if module.CLOCK == "first-record":
            return _start(data_dir, module, inputs)
        job = Job(plan.workload, system, plan.dataset, plan.n, str(data_dir), profile=plan.profile)
        if module.CLOCK == "restore":
            _measure(replace(job, profile=False))
            embedded.delete_local_state(data_dir)
        return _measure(job)
    finally:
        shutil.rmtree(data_dir)


def _start(data_dir: Path, module: workload.Workload, inputs: workload.Inputs) -> dict[str, Any]:
    """The app of `start_app` by the command a user types; the app writes down the moment of its first record."""
    from benchmarks import embedded

    moment = data_dir / "first-record"
    command = [str(Path(sys.executable).with_name("streams")), "worker", "benchmarks.start_app:app", "--until-end"]
    environment = os.environ | {"BENCHMARKS_FIRST_RECORD": str(moment), "STREAMS_DATA_DIR": str(data_dir)}
    began = time.monotonic_ns()
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise FailedRunError(f"streams worker ended with exit code {done.returncode}: {done.stderr}")
    seconds = (int(moment.read_text()) - began) / 1e9
    workload.check(module.found(embedded.Log(data_dir, {}), inputs), module.expected(inputs))
    return {"seconds": seconds}


def _run_bare_python(plan: Plan, system: str) -> dict[str, Any]:
    began = time.perf_counter()
    subprocess.run([sys.executable, *BARE], check=True)
    return {"seconds": time.perf_counter() - began}


_RUN = {"streams": _run_streams, "bound-dict": _run_bound, "bare-python": _run_bare_python}


def _measure(job: Job) -> dict[str, Any]:
    done = subprocess.run(job.command(), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise FailedRunError(
            f"{job.workload} on {job.system} ended with exit code {done.returncode}: {done.stdout.strip()}"
        )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


@cache
def versions() -> dict[str, str]:
    """What the figures were measured with."""
    packages = ("streams-engine", "numpy", "msgspec", "rocksdict")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}
