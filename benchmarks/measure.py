"""One measured run in a process of its own: `python -m benchmarks.measure '{"workload": ...}'` prints one JSON object.

The peak of resident memory is this process's alone (VmHWM), read before the answer is looked at.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import workload


@dataclass
class Stopwatch:
    """Wall and processor time between two moments, and the peak of memory up to now.

    >>> watch = Stopwatch()
    >>> watch.start(); watch.stop()
    >>> watch.seconds >= 0
    True
    """

    began: float = 0.0
    began_cpu: float = 0.0
    seconds: float = 0.0
    cpu_s: float = 0.0

    def start(self) -> None:
        self.began, self.began_cpu = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        self.seconds = time.perf_counter() - self.began
        self.cpu_s = time.process_time() - self.began_cpu


def peak_rss_mb() -> float:
    """The peak of this process's resident memory in MB.

    From VmHWM where there is one: `ru_maxrss` starts at what the parent had when it forked.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


@dataclass(frozen=True)
class Job:
    """What a process is to measure."""

    workload: str
    system: str
    dataset: str
    n: int
    data_dir: str = ""
    profile: bool = False
    address: str = ""  # of a Kafka, else the embedded broker
    settings: Mapping[str, str] = field(default_factory=dict)  # of the app, by the names of environment variables

    def command(self) -> list[str]:
        """The command that measures this job in a process of its own."""
        return [sys.executable, "-m", "benchmarks.measure", json.dumps(asdict(self))]


def _timed(loop: Callable[[], Any]) -> tuple[Any, dict[str, Any]]:
    """What a loop gives, and what it took."""
    watch = Stopwatch()
    watch.start()
    done = loop()
    watch.stop()
    return done, {"seconds": watch.seconds, "cpu_s": watch.cpu_s, "peak_rss_mb": peak_rss_mb()}


def measure_bound(job: Job) -> dict[str, Any]:
    """Runs the loop of `bound-dict` over values in memory, and checks its answer."""
    module = workload.load(job.workload)
    inputs = module.inputs(job.dataset, job.n)
    values = {topic: data.values() for topic, data in inputs.items()}
    done, figures = _timed(lambda: module.bound(values))
    workload.check(module.answer(done), module.expected(inputs))
    return figures


def measure_kernel(job: Job) -> dict[str, Any]:
    """Runs the compiled loop of `bound-kernel`, which is compiled before the clock starts, and checks its answer."""
    from benchmarks import bound_kernel
    from streams.compiling.readiness import load_now
    from streams.kernels import compiled
    from streams.spans import Spans

    module = workload.load(job.workload)
    inputs = module.inputs(job.dataset, job.n)
    (data,) = inputs.values()
    blob, stops = data.packed_values()
    values = Spans(blob, np.concatenate([np.zeros(1, np.int64), stops[:-1]]), stops)
    load_now(modules=[*compiled.MODULES, bound_kernel.__name__])
    done, figures = _timed(lambda: bound_kernel.windowed(values))
    workload.check(bound_kernel.answer(done), module.expected(inputs))
    return figures


def measure_ours(job: Job) -> dict[str, Any]:
    """Runs our worker. Compiled twins are loaded before the clock starts: a worker that runs for days has them too."""
    from benchmarks.worker import measure
    from streams.compiling.readiness import load_now

    if job.system == "streams":
        load_now()
    return measure(job)


_MEASURE = {
    "streams": measure_ours,
    "streams-numpy": measure_ours,
    "bound-dict": measure_bound,
    "bound-kernel": measure_kernel,
}


def main(argument: str) -> int:
    """Measures one job and prints its figures; a wrong answer goes to standard error and prints none."""
    job = Job(**json.loads(argument))
    os.environ.update(job.settings)
    try:
        figures = _MEASURE[job.system](job)
    except workload.WrongAnswerError as error:
        print(f"wrong answer: {error}", file=sys.stderr)
        return 1
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
