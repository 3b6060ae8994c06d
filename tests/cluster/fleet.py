"""The workers of one app on one cluster: which there are, and how to come by one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.proxied_cluster import ProxiedCluster
from tests.cluster.worker_process import WorkerProcess, wait_for

WORKERS_MAX = 4


class Fleet:
    """Workers with names from "worker-1" on, each with a folder of its own, so each at a place of its own."""

    def __init__(
        self,
        cluster: ProxiedCluster,
        folder: Path,
        target: str,
        app_id: str,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`target` ("module:app") runs as `app_id`."""
        self.cluster = cluster
        self.app_id = app_id
        self._folder = folder
        self._target = target
        self._settings = dict(settings or {})
        self.workers: list[WorkerProcess] = []
        self.gone: list[WorkerProcess] = []
        """Those that were asked to end."""

    def add(self, *, trap: str | None = None) -> WorkerProcess | None:
        """One more, if there are not enough; one that has left comes back first, with what it has kept. `trap` is a
        step at which it is to be held.
        """
        if len(self.workers) >= WORKERS_MAX:
            return None
        worker = self.gone.pop(0) if self.gone else self._new()
        if trap is not None:
            worker.set_trap(trap)
        worker.start()
        self.workers.append(worker)
        return worker

    def _new(self) -> WorkerProcess:
        name = f"worker-{len(self.workers) + len(self.gone) + 1}"
        return WorkerProcess(name, self._target, self._folder / name, self.cluster.proxied, self.app_id, self._settings)

    def remove(self, worker: WorkerProcess) -> None:
        """Asks it to end. Raises when it does not, or not well."""
        worker.stop()
        self.workers.remove(worker)
        self.gone.append(worker)

    def worker(self, which: int) -> WorkerProcess:
        return self.workers[which % len(self.workers)]

    def node(self, which: int) -> int:
        """The number of a broker."""
        return sorted(self.cluster.nodes)[which % len(self.cluster.nodes)]

    def transactional_id(self, worker: WorkerProcess) -> str:
        """That of its producer; the app's id before it has one."""
        seats = worker.events("seat")
        return seats[-1]["seat"] if seats else self.app_id

    @contextmanager
    def held(self, worker: WorkerProcess, step: str, within_s: float) -> Iterator[bool]:
        """A worker stands at a step while the block runs; or it did not come there in time."""
        worker.set_trap(step)
        try:
            try:
                wait_for(lambda: worker.is_held(step), lambda: f"{worker} at {step!r}", within_s)
                yield True
            except TimeoutError:
                yield False
        finally:
            worker.release(step)

    def check(self) -> None:
        """Raises AssertionError for a worker that has ended by itself."""
        for worker in self.workers:
            # Asked twice: another thread may just be killing it.
            ended = worker.is_wanted and not worker.is_alive and worker.is_wanted
            assert not ended, f"{worker} has ended by itself, with {worker.code}\n{worker.tail()}"

    def stop(self) -> None:
        """All end as they are asked to. Raises when one does not, or not well."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait()

    def end(self) -> None:
        """Whatever they are at, they are gone."""
        for worker in self.workers + self.gone:
            worker.end()
