"""Our worker under the clock: the real entry, the app as a user builds it, until the end of its input.

`commits` spans the first fetch to the end of the last commit, local stores written. `restore` spans the first fetch,
which reads a changelog there, to the last store ready; its records are those that the stores read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import workload
from benchmarks.data import CACHE
from benchmarks.measure import Job, Stopwatch, peak_rss_mb
from benchmarks.sampler import Sampler
from benchmarks.topics import Log, Place
from streams.runtime.observer import Failed, Restoring, Silent
from streams.runtime.process import run
from streams.runtime.steps import on_step
from streams.transport.contract import Fetched, Transport

if TYPE_CHECKING:
    from streams import App


class Clock(Silent):
    """Watches a worker from inside its process: when its work began, when it was last done, and what it was."""

    def __init__(self, app: App, what: str, sampler: Sampler | None) -> None:
        self.app = app
        self.what = what
        self.watch = Stopwatch()
        self.sampler = sampler
        self.last_step = "commit: done" if what == "commits" else "restore: done"
        self.commits = 0
        self.restored: dict[tuple[str, int], int] = {}
        self.tables: dict[str, workload.Answer] = {}
        self.peak_rss_mb = 0.0
        self.failure: Failed | None = None

    def begin(self) -> None:
        self.watch.start()
        if self.sampler is not None:
            self.sampler.start()

    def step(self, step: str) -> None:
        self.commits += step == "commit: done"
        if self.sampler is not None:
            self.sampler.phase = step
        if step == self.last_step:
            self.watch.stop()

    def restoring(self, event: Restoring) -> None:
        self.restored[event.store, event.partition] = event.records

    def failed(self, failure: Failed) -> None:
        self.failure = failure

    def ending(self) -> None:
        if self.sampler is not None:
            self.sampler.stop()
        self.peak_rss_mb = peak_rss_mb()
        if self.what == "restore":  # the restored stores themselves, not what a changelog says they hold
            self.tables = {name: dict(table.items()) for name, table in self.app.tables.items()}


def measure(job: Job) -> dict[str, Any]:
    """Runs the worker over what is in the job's folder, then looks at the answer it left."""
    module = workload.load(job.workload)
    app = module.app(Path(job.data_dir))
    clock = Clock(app, module.CLOCK, Sampler() if job.profile else None)
    _call_at_first_fetch(_transport(job), clock.begin)
    forget = on_step(clock.step)
    code = run(app, clock, until_end=True)
    forget()
    if clock.failure is not None:
        raise clock.failure.error
    if code != 0:
        raise RuntimeError(f"the worker ended with exit code {code}")
    figures: dict[str, Any] = {
        "seconds": clock.watch.seconds,
        "cpu_s": clock.watch.cpu_s,
        "peak_rss_mb": clock.peak_rss_mb,
        "commits": clock.commits,
    }
    if clock.restored:
        figures["n"] = sum(records for (store, _), records in clock.restored.items() if store in app.tables)
    if clock.sampler is not None:
        figures |= _profile(clock.sampler, job)
    inputs, log = module.inputs(job.dataset, job.n), Log(Place(Path(job.data_dir), job.address), clock.tables)
    workload.check(module.found(log, inputs), module.expected(inputs))
    _check_dead_letters(log, f"{app.id}-dead-letter", inputs)
    return figures


def _check_dead_letters(log: Log, topic: str, inputs: workload.Inputs) -> None:
    """Every value that does not decode is in the dead-letter topic, as it was read."""
    cut: Counter[bytes] = Counter()
    for data in inputs.values():
        broken = ~data.facts.decodable
        cut.update(compress(data.values(), broken) if broken.any() else ())
    if cut:
        workload.check(Counter(log.values(topic)), cut)


def _transport(job: Job) -> Any:
    """The class that fetches."""
    if job.address:
        from streams.transport.kafka import KafkaTransport

        return KafkaTransport
    from streams.transport.embedded import EmbeddedTransport

    return EmbeddedTransport


def _call_at_first_fetch(transport: Any, begin: Callable[[], None]) -> None:
    """Puts a wrapper around `fetch` that takes itself away, so that no later call pays for it."""
    original = transport.fetch

    async def first(self: Transport, *args: Any, **options: Any) -> list[Fetched]:
        transport.fetch = original
        begin()
        fetched: list[Fetched] = await original(self, *args, **options)
        return fetched

    transport.fetch = first


def _profile(sampler: Sampler, job: Job) -> dict[str, Any]:
    stem = f"profile-{job.workload}-{job.dataset}-{job.system}"
    stacks, report = CACHE / f"{stem}.stacks.txt", CACHE / f"{stem}.txt"
    sampler.write(stacks)
    report.write_text(f"{sampler.report(job.n)}\n\nstacks in {stacks}\n", encoding="utf-8")
    return {"layers": {name: round(s, 4) for name, s in sampler.layers().items()}, "report": str(report)}
