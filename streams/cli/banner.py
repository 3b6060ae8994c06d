"""The words a worker begins and ends with."""

from __future__ import annotations

import os
from collections.abc import Sequence

from streams.runtime.observer import Dropped, Progress, Restoring, Started, Stopped


def banner(info: Started) -> list[tuple[str, str]]:
    """What was understood, as pairs of a heading and its text.

    >>> info = Started("shop", "embedded", "./shop-data", ("orders",), (), ("watch",), (), 4, "exactly_once_v2")
    >>> [heading for heading, _ in banner(info)]
    ['app', 'broker', 'data', 'topics', 'agents', 'worker']
    """
    lists = {"sources": info.sources, "topics": info.topics, "agents": info.agents, "tables": info.tables}
    return [
        ("app", info.app_id),
        ("broker", info.transport),
        ("data", info.data_dir),
        *((heading, ", ".join(names)) for heading, names in lists.items() if names),
        *_workers(info),
    ]


def _workers(info: Started) -> list[tuple[str, str]]:
    process = f"{info.guarantee}, pid {os.getpid()}"
    if info.workers == 1:
        return [("worker", f"{info.tasks} tasks for at most {info.tasks} workers, {process}")]
    limit = f": at most {info.tasks} workers have work" if info.workers > info.tasks else ""
    return [("workers", f"{info.workers} for {info.tasks} tasks{limit}, {process}")]


def restoring_line(event: Restoring) -> str:
    """
    >>> restoring_line(Restoring("late", 0, records=500, records_total=2000))
    'restoring late-0: 500 of 2,000 records'
    """
    if event.done:
        return f"restored {event.store}-{event.partition}: {event.records:,} records"
    return f"restoring {event.store}-{event.partition}: {event.records:,} of {event.records_total:,} records"


def rate_line(stats: Progress) -> str:
    """
    >>> rate_line(Progress(27004, 9000.4, commits=12, lag_records=100, stream_time_ms=1357034100000, elapsed_s=3.0))
    '27,004 records, 9,000/s, 100 to go, 12 commits, stream time 2013-01-01 09:55:00'
    """
    parts = [f"{stats.records:,} records", f"{stats.records_per_s:,.0f}/s", f"{stats.lag_records:,} to go"]
    parts.append(f"{stats.commits:,} commits")
    if stats.stream_time_ms is not None and stats.stream_time_ms > 0:  # 1970 is where records without a time are put
        parts.append(f"stream time {utc(stats.stream_time_ms)}")
    if stats.dropped:
        parts.append(f"{sum(part.records for part in stats.dropped):,} left out")
    return ", ".join(parts)


def dropped_line(dropped: Sequence[Dropped]) -> str:
    """
    >>> dropped_line([Dropped("hourly", "late", 1200), Dropped("parse", "skip", 1)])
    'left out: 1,200 at hourly (late), 1 at parse (skip)'
    """
    return "left out: " + ", ".join(f"{part.records:,} at {part.step} ({part.reason})" for part in dropped)


def summary_line(summary: Stopped) -> str:
    """
    >>> summary_line(Stopped("end", records=27004, commits=12, elapsed_s=3.0))
    'stopped at the end of the input: 27,004 records, 12 commits, 3.0 s'
    """
    reasons = {"end": "at the end of the input", "signal": "by a signal", "failed": "by a failure"}
    figures = f"{summary.records:,} records, {summary.commits:,} commits, {summary.elapsed_s:.1f} s"
    return f"stopped {reasons[summary.reason]}: {figures}"


def utc(timestamp_ms: int) -> str:
    """A timestamp for people, in UTC; the bare number if no calendar has it, as when an app mixes up its units.

    >>> utc(0), utc(1357034100000000)
    ('1970-01-01 00:00:00', '1357034100000000 ms')
    """
    from datetime import UTC, datetime

    try:
        return f"{datetime.fromtimestamp(timestamp_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return f"{timestamp_ms} ms"
