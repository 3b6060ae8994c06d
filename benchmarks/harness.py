"""Runs systems one after the other, each in a fresh process, and sums up what they took."""

from __future__ import annotations

import argparse
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import topics, workload
from benchmarks.broker_process import AS_INSTALLED
from benchmarks.data import CACHE
from benchmarks.measure import Job
from benchmarks.workload import memory_bytes
from streams.kernels import compiled

if TYPE_CHECKING:
    from benchmarks.kafka import Kafka
    from benchmarks.peers import Service, Variant

Line = dict[str, Any]

TIMES = {"start": ("seconds",), "latency": ("p50_ms", "p99_ms")}
"""Workloads whose figures are times: less is better."""
BYTECODE = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(CACHE / "bytecode")}
"""Modules are compiled once, as pip does when it installs a package: to compile them takes as long as all the rest."""
BARE = ("-c", "import asyncio, numpy")


OURS: Mapping[str, Mapping[str, str]] = {"streams": {}, "streams-numpy": {"STREAMS_COMPILED": "off"}}
"""Our worker with the extra `fast`, whose compiled twins are loaded before the clock starts, and without: settings."""


_NEEDS_FAST = "needs the extra `fast`: pip install -e '.[fast]'"


def ours_here() -> tuple[str, ...]:
    """What of ours this machine can run."""
    return tuple(OURS) if compiled.installed() else ("streams-numpy",)


def peers(wanted: Sequence[str]) -> tuple[str, ...]:
    """Those of them that need nothing which is not installed."""
    return tuple(name for name in wanted if name != "bound-kernel" or compiled.installed())


def one_of_ours(text: str) -> str:
    """The type of the option `--ours`: what this machine can run."""
    if text in OURS and text not in ours_here():
        raise argparse.ArgumentTypeError(f"{text} {_NEEDS_FAST}")
    return text


def peer(text: str) -> str:
    """The type of the option `--peer`: a name, with what follows a colon.

    >>> peer("kafka-streams:1:commit=10")
    'kafka-streams:1:commit=10'
    """
    name = text.partition(":")[0]
    if name in OURS or name not in _RUN:
        names = ", ".join(one for one in _RUN if one not in OURS)
        raise argparse.ArgumentTypeError(f"{name!r} is none of {names}")
    if not peers([name]):
        raise argparse.ArgumentTypeError(f"{name} {_NEEDS_FAST}")
    return text


def say_what_is_left_out() -> None:
    """What would be measured if the extra `fast` were installed."""
    if not compiled.installed():
        print(f"left out: streams and bound-kernel, each {_NEEDS_FAST}", file=sys.stderr, flush=True)


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
    ours: tuple[str, ...] = ("streams",)
    transport: str = "embedded"
    profile: bool = False
    rate: int = 1_000  # records a second, for `latency`
    warm_up: int | None = None  # records that do not count; as many as the peer needs, unless said
    kafka: Kafka | None = None  # while one runs
    services: Mapping[str, Service] = field(default_factory=dict)  # processes of peers that go on from run to run

    def lines(self, failed: Callable[[str, Exception], None] | None = None) -> Iterator[Line]:
        """One line a run; the order of the systems turns round from round to round.

        A system that fails has no more runs; who wants the others to go on is told by `failed`.
        """
        systems = (*self.ours, *self.peers)
        out: set[str] = set()
        with self._ready(systems) as plan:
            for run in range(self.runs):
                for system in systems if run % 2 == 0 else reversed(systems):
                    if system in out:
                        continue
                    try:
                        line = plan._line(system, run)
                    except (FailedRunError, workload.WrongAnswerError) as error:
                        if failed is None:
                            raise
                        failed(f"{self.workload}, {system}", error)
                        out.add(system)
                    else:
                        yield line

    @contextmanager
    def _ready(self, systems: Sequence[str]) -> Iterator[Plan]:
        """With all that the runs share: environments of peers, a broker unless there is one."""
        if self.transport == "embedded":
            yield self
            return
        from benchmarks import kafka
        from benchmarks.peers import NAMES, Variant, load

        variants = {variant.peer: variant for system in systems if (variant := Variant.of(system)).peer in NAMES}
        for name in variants:
            load(name).prepare()
        with ExitStack() as parts:
            plan = replace(self, kafka=self.kafka or parts.enter_context(kafka.started()))
            yield replace(
                plan, services={name: plan._warm(v, parts) for name, v in variants.items() if load(name).WARM_UP}
            )

    def _warm(self, variant: Variant, services: ExitStack) -> Service:
        """The process of a peer that goes on from run to run, warmed up."""
        from benchmarks.peers import Service, load
        from benchmarks.peers.measured import PeerRun

        assert self.kafka is not None
        service = Service.of(load(variant.peer), CACHE / f"{variant.peer}.log")
        services.callback(service.stop)
        n = load(variant.peer).WARM_UP if self.warm_up is None else self.warm_up
        if n:
            PeerRun(self.kafka, self.workload, variant, service).warm_up(self.dataset, n)
        return service

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
            "events_per_s": None if self.workload in TIMES else round(n / seconds),
            **{name: round(f, 4) if isinstance(f, float) else f for name, f in figures.items()},
            "versions": versions() | _versions_of(system),
            "answer_ok": True,
        }


def summary(plan: Plan, lines: Sequence[Line]) -> Line:
    """Medians of each system, and each of ours as a share of each peer: the median, smallest and largest of the rounds'
    ratios.

    For `start` and `latency` the ratio is of times, so less is better.
    """
    figure, *more = TIMES.get(plan.workload, ("events_per_s",))
    by_system: dict[str, list[Line]] = defaultdict(list)
    for line in sorted(lines, key=lambda line: int(line["run"])):
        by_system[line["system"]].append(line)
    pairs = [(ours, peer) for ours in plan.ours for peer in plan.peers]

    def ratios(of: Callable[[Line], float], name: str) -> dict[str, dict[str, dict[str, float]]]:
        found: dict[str, dict[str, dict[str, float]]] = {ours: {} for ours in plan.ours}
        for ours, peer in pairs:
            if all(name in line for line in by_system[ours] + by_system[peer]):
                rounds = zip(by_system[ours], by_system[peer], strict=True)
                found[ours][peer] = _spread([of(a) / of(b) for a, b in rounds])
        return found

    return {
        "summary": plan.workload,
        "transport": plan.transport,
        "dataset": plan.dataset,
        "n": plan.n,
        "runs": plan.runs,
        "medians": {system: _medians(of, (figure, *more, "peak_rss_mb", "cpu_s")) for system, of in by_system.items()},
        "ratio": ratios(lambda line: float(line[figure]), figure),
        **{f"{name}_ratio": ratios(lambda line, name=name: float(line[name]), name) for name in more},  # type: ignore[misc]
        "cpu_ratio": ratios(_per_cpu, "cpu_s"),
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
    bound, _, loop = system.partition(":")
    name = loop or plan.workload
    n = plan.n if name == plan.workload else workload.load(name).N
    return {"n": n, **_measure(Job(name, bound, plan.dataset, n))}


def _run_streams(plan: Plan, system: str) -> dict[str, Any]:
    module = workload.load(plan.workload)
    inputs = module.inputs(plan.dataset, plan.n)
    (CACHE / "runs").mkdir(parents=True, exist_ok=True)
    data_dir = Path(tempfile.mkdtemp(dir=CACHE / "runs", prefix=f"{plan.workload}-"))
    try:
        if module.CLOCK == "latency":
            return _latency(plan, system)
        if plan.kafka is None:
            place = topics.Place(data_dir)
            topics.load(place, inputs, closing=module.CLOSING)
            return _worker(plan, system, place, module, inputs)
        plan.kafka.load(inputs, closing=module.CLOSING)
        figures = _worker(plan, system, topics.Place(data_dir, plan.kafka.address), module, inputs)
        return figures | plan.kafka.figures()
    finally:
        if plan.kafka is not None:
            plan.kafka.clean()
        shutil.rmtree(data_dir)


def _latency(plan: Plan, system: str) -> dict[str, Any]:
    from benchmarks import latency

    if plan.kafka is None:
        raise FailedRunError("latency needs a Kafka: --transport kafka")
    plan.kafka.create(latency.INPUT, latency.OUTPUT)
    with latency.worker(plan.kafka, OURS[system]) as pid:
        return latency.measure(plan.kafka, pid, "latency", plan.rate)


def _worker(
    plan: Plan, system: str, place: topics.Place, module: workload.Workload, inputs: workload.Inputs
) -> dict[str, Any]:
    if module.CLOCK == "first-record":
        return _start(system, place, module, inputs)
    job = Job(
        plan.workload,
        system,
        plan.dataset,
        plan.n,
        str(place.data_dir),
        profile=plan.profile,
        address=place.address,
        settings={**OURS[system], **_settings(place, memory_bytes(module, plan.n))},
    )
    if module.CLOCK == "restore":
        _measure(replace(job, profile=False))
        topics.delete_local_state(place.data_dir)
    if plan.kafka is not None:
        plan.kafka.begin()
    return _measure(job)


def _settings(place: topics.Place, memory_bytes: int | None = None) -> dict[str, str]:
    """Settings of an app, as its environment has them."""
    settings = {"STREAMS_DATA_DIR": str(place.data_dir)}
    if place.address:
        settings["STREAMS_BROKER"] = f"kafka://{place.address}"
    if memory_bytes is not None:
        settings["STREAMS_STATE_MEMORY_BYTES"] = str(memory_bytes)
    return settings


def _run_peer(plan: Plan, system: str) -> dict[str, Any]:
    from benchmarks.peers import Variant
    from benchmarks.peers.measured import PeerRun

    if plan.kafka is None:
        raise FailedRunError(f"{system} needs a Kafka: --transport kafka")
    variant = Variant.of(system)
    run = PeerRun(plan.kafka, plan.workload, variant, plan.services.get(variant.peer))
    try:
        return run.latency(plan.rate) if plan.workload == "latency" else run.measure(plan.dataset, plan.n)
    except (RuntimeError, TimeoutError) as error:
        raise FailedRunError(f"{system}: {error}") from error


def _start(system: str, place: topics.Place, module: workload.Workload, inputs: workload.Inputs) -> dict[str, Any]:
    """The app of `start_app` by the command a user types; the app writes down the moment of its first record."""
    moment = place.data_dir / "first-record"
    command = [sys.executable, "-c", AS_INSTALLED, "worker", "benchmarks.start_app:app", "--until-end"]
    environment = os.environ | BYTECODE | {"BENCHMARKS_FIRST_RECORD": str(moment), **_settings(place), **OURS[system]}
    began = time.monotonic_ns()
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise FailedRunError(f"streams worker ended with exit code {done.returncode}: {done.stderr}")
    seconds = (int(moment.read_text()) - began) / 1e9
    workload.check(module.found(topics.Log(place, {}), inputs), module.expected(inputs))
    return {"seconds": seconds}


def _run_bare_python(plan: Plan, system: str) -> dict[str, Any]:
    began = time.perf_counter()
    subprocess.run([sys.executable, *BARE], check=True)
    return {"seconds": time.perf_counter() - began}


_RUN = {
    "streams": _run_streams,
    "streams-numpy": _run_streams,
    "bound-dict": _run_bound,
    "bound-kernel": _run_bound,
    "bare-python": _run_bare_python,
    "kafka-streams": _run_peer,
    "faust": _run_peer,
    "quix": _run_peer,
    "bytewax": _run_peer,
}


def _measure(job: Job) -> dict[str, Any]:
    done = subprocess.run(job.command(), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise FailedRunError(
            f"{job.workload} on {job.system} ended with exit code {done.returncode}: {done.stdout.strip()}"
        )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _versions_of(system: str) -> dict[str, str]:
    """What a peer is."""
    from benchmarks.peers import NAMES, load

    peer = system.partition(":")[0]
    return dict(load(peer).VERSIONS) if peer in NAMES else {}


@cache
def versions() -> dict[str, str]:
    """What the figures were measured with."""
    packages = ("streams-engine", "numpy", "msgspec", "rocksdict", *(("numba",) if compiled.installed() else ()))
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}
