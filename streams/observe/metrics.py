"""A worker's figures for Prometheus. They are read when somebody asks for them, so they cost a worker nothing.

No endpoint yet: a program that runs a `Worker` hands `registry(worker)` to the one it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from streams.kernels import compiled

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

    from streams.rpc.worker import WorkerRpc
    from streams.runtime.assembly import Assembly
    from streams.runtime.worker import Worker


def registry(worker: Worker) -> CollectorRegistry:
    """A registry with the figures of one worker, as they are when it is asked; none before the worker has started.

    >>> from prometheus_client import generate_latest
    >>> from streams.app import App
    >>> from streams.runtime.observer import Silent
    >>> from streams.runtime.worker import Worker
    >>> generate_latest(registry(Worker(App("flights"), Silent())))
    b''
    """
    from prometheus_client.registry import Collector, CollectorRegistry

    class WorkerCollector(Collector):
        def collect(self) -> Iterator[Metric]:
            if worker.assembly is not None:
                yield from collect(worker.assembly)

    made = CollectorRegistry()
    made.register(WorkerCollector())
    return made


def collect(assembly: Assembly) -> Iterator[Metric]:
    """The figures of a worker's assembly, counted since the worker's start.

    | metric | what |
    |---|---|
    | `streams_records_total` | records taken from topics, not counting repeats through repartition topics |
    | `streams_records_dropped_total{step,reason}` | records left out |
    | `streams_commits_total` | commits |
    | `streams_restore_records_total` | changelog records read to restore stores |
    | `streams_state_memory_bytes` | memory of the stores |
    | `streams_compiled` | 1: the hot loops that have a compiled twin (extra `fast`) run it; 0: not, or not yet |
    | `streams_standby_lag_records{task}` | what the copy of a task lacks that another worker works on |
    | `streams_asks_total`, `streams_answers_total` | what the app's code has asked agents, and the answers that came |
    | `streams_asks_waiting` | requests whose answers are waited for |
    | `streams_answers_unmatched_total` | answers that nobody waited for: too late, or repeated |
    | `streams_replies_total`, `streams_replies_lost_total` | replies of agents; those that could not be sent |
    """
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    totals = assembly.totals()
    yield CounterMetricFamily("streams_records", "Records taken from topics.", totals.records)
    dropped = CounterMetricFamily("streams_records_dropped", "Records left out.", labels=("step", "reason"))
    for (step, reason), count in sorted(totals.dropped.items()):
        dropped.add_metric((step, reason), count)
    yield dropped
    yield CounterMetricFamily("streams_commits", "Commits.", totals.commits)
    yield CounterMetricFamily("streams_restore_records", "Records read to restore stores.", totals.restored)
    yield GaugeMetricFamily("streams_state_memory_bytes", "Memory of the stores.", assembly.state_memory_bytes())
    yield GaugeMetricFamily("streams_compiled", "Whether compiled twins run.", compiled.ready())
    lags = GaugeMetricFamily("streams_standby_lag_records", "Records that a standby lacks.", labels=("task",))
    for task, lag in sorted(assembly.standbys.lags().items()):
        lags.add_metric((task,), lag)
    yield lags
    if assembly.service is not None:
        yield from _of_service(assembly.service)


def _of_service(service: WorkerRpc) -> Iterator[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    asker = service.asker
    yield CounterMetricFamily("streams_asks", "Requests to agents.", asker.asked)
    yield CounterMetricFamily("streams_answers", "Answers of agents that were waited for.", asker.answered)
    yield GaugeMetricFamily("streams_asks_waiting", "Requests whose answers are waited for.", len(asker))
    yield CounterMetricFamily("streams_answers_unmatched", "Answers that nobody waited for.", asker.unmatched)
    yield CounterMetricFamily("streams_replies", "Replies sent by agents.", service.replies)
    yield CounterMetricFamily("streams_replies_lost", "Replies that could not be sent.", service.lost_replies)
