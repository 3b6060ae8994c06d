"""One measured run of a peer, seen from outside: from its first record to the commit of its last.

The first record is told by the peer's process, on the clock that all processes of a machine share; the last commit is
when the offsets of its group are at the end of the input. A peer that commits no offsets tells its end itself.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

from benchmarks import latency, workload
from benchmarks.broker_process import cpu_s, peak_mb
from benchmarks.data import CACHE
from benchmarks.kafka import Kafka
from benchmarks.peers import Job, Service, Variant, load
from benchmarks.topics import Log
from streams.transport.contract import TopicPartition, Transport

START_S, WORK_S, STOP_S = 120.0, 900.0, 90.0
POLL_S = 0.01

Figures = dict[str, Any]


def wait_committed(kafka: Kafka, group: str, ends: Mapping[TopicPartition, int]) -> int:
    """Until the group has committed these offsets; the moment on the monotonic clock, ns. Raises TimeoutError."""

    async def watch(transport: Transport) -> int:
        deadline = time.monotonic() + WORK_S
        while time.monotonic() < deadline:
            found = await transport.committed(group, ends)
            if all(at is not None and at.offset >= ends[tp] for tp, at in found.items()):
                return time.monotonic_ns()
            await asyncio.sleep(POLL_S)
        raise TimeoutError(f"group {group!r} has not come to {dict(ends)} in {WORK_S} s; it is at {found}")

    return kafka.place.run(watch)


class PeerRun:
    """Runs jobs of one peer. `service` is its process where that goes on from run to run."""

    def __init__(self, kafka: Kafka, workload_name: str, variant: Variant, service: Service | None) -> None:
        self._kafka = kafka
        self._workload = workload_name
        self._module = workload.load(workload_name)
        self._variant = variant
        self._peer = load(variant.peer)
        self._service = service

    def measure(self, dataset: str, n: int) -> Figures:
        """The figures of a run over `n` records, or as many as the peer is given; its answer is right."""
        n = min(n, self._peer.RECORDS)
        with self._job(dataset, n) as job:
            figures = self._MEASURE[self._module.CLOCK](self, job)
            if self._workload in self._peer.FOUND:
                inputs = self._module.inputs(dataset, n)
                found = self._peer.FOUND[self._workload](Log(self._kafka.place, {}), inputs, job.app)
                workload.check(found, self._module.expected(inputs))
        return {"n": n, **figures}

    def latency(self, rate: int) -> Figures:
        """The figures of records that come one by one."""
        with self._place(latency.INPUT, 0) as job:
            self._kafka.create(latency.INPUT, latency.OUTPUT)
            with self._running(replace(job, linger_ms=0)) as service:
                figures = latency.measure(self._kafka, service.pid, job.app, rate)
                self._stop(service)
        return figures

    def warm_up(self, dataset: str, n: int) -> None:
        """The same work once, over records that do not count."""
        with self._job(dataset, n) as job:
            self._commits(job)

    @contextmanager
    def _job(self, dataset: str, n: int) -> Iterator[Job]:
        inputs = self._module.inputs(dataset, n)
        first, *_ = inputs
        topic = f"{first}-{n}"
        self._kafka.load(
            {topic if name == first else name: data for name, data in inputs.items()}, closing=self._module.CLOSING
        )
        with self._place(topic, n) as job:
            self._kafka.create(*workload.outputs(self._module))
            memory = workload.memory_bytes(self._module, n)
            yield job if memory is None else replace(job, cache_bytes=memory // 2, block_cache_bytes=memory // 2)

    @contextmanager
    def _place(self, topic: str, n: int) -> Iterator[Job]:
        """A job with a name and a folder of its own. Topics and groups are removed after it."""
        state, how = tempfile.mkdtemp(dir=CACHE / "runs", prefix="peer-"), self._variant
        app = Path(state).name
        try:
            yield Job(
                self._workload, self._kafka.address, app, state, topic, n, how.threads, how.guarantee, how.commit_ms
            )
        finally:
            self._kafka.clean()
            shutil.rmtree(state)

    @contextmanager
    def _running(self, job: Job) -> Iterator[Service]:
        """The process, told the job; afterwards told to end it, or ended where it is for one job."""
        service = self._service or Service.of(self._peer, CACHE / f"{self._variant.peer}.log")
        try:
            service.tell(asdict(job))
            yield service
        finally:
            if service is not self._service:
                service.kill()

    def _commits(self, job: Job) -> Figures:
        with self._running(job) as service:
            self._kafka.begin()
            first_ns = service.hear("first", START_S)["ns"]
            began_cpu_s = cpu_s(service.pid)
            done_ns = self._done(job, service)
            figures = {"seconds": (done_ns - first_ns) / 1e9, "cpu_s": cpu_s(service.pid) - began_cpu_s}
            figures |= {"peak_rss_mb": peak_mb(service.pid), **self._kafka.figures()}
            self._stop(service)
        return figures

    def _done(self, job: Job, service: Service) -> int:
        """The moment when all is done, in ns of the clock that all processes share."""
        if self._peer.ENDS:
            return int(service.hear("done", WORK_S)["ns"])
        return wait_committed(self._kafka, job.app, self._kafka.ends(job.input))

    def _stop(self, service: Service) -> None:
        """Ends the job of a process that goes on."""
        if service is self._service:
            service.tell({"do": "stop"})
            service.hear("stopped", STOP_S)

    def _restore(self, job: Job) -> Figures:
        """The table is made, its local state removed, and the app started again."""
        self._commits(job)
        shutil.rmtree(job.state)
        Path(job.state).mkdir()
        with self._running(job) as service:
            self._kafka.begin()
            began_cpu_s = cpu_s(service.pid)
            restored = service.hear("restored", WORK_S)
            figures = {"cpu_s": cpu_s(service.pid) - began_cpu_s, "peak_rss_mb": peak_mb(service.pid)}
            figures |= self._kafka.figures()
            service.tell({"do": "stop", "table": "latest"})
            stopped = service.hear("stopped", STOP_S)
        facts = self._module.expected(self._module.inputs("events", job.n))
        whole = {"entries": len(facts), "sum": sum(ts for _, ts in facts.values())}
        workload.check({name: stopped[name] for name in whole}, whole)
        seconds = (restored["ended_ns"] - restored["began_ns"]) / 1e9
        return {"seconds": seconds, **figures, "n": restored["records"]}

    def _start(self, job: Job) -> Figures:
        """From the start of the process to its first record."""
        began_ns = time.monotonic_ns()
        with self._running(job) as service:
            first_ns = service.hear("first", START_S)["ns"]
            wait_committed(self._kafka, job.app, self._kafka.ends(job.input))
            return {"seconds": (first_ns - began_ns) / 1e9, "peak_rss_mb": peak_mb(service.pid)}

    _MEASURE: ClassVar[Mapping[str, Callable[[PeerRun, Job], Figures]]] = {
        "commits": _commits,
        "restore": _restore,
        "first-record": _start,
    }
