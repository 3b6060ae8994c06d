"""What several workers have counted, as one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from streams.runtime.observer import Dropped, Progress, Reason, Stopped


class Counts:
    """What one worker has counted, over all processes that have been it.

    >>> counts = Counts()
    >>> counts.moved(Progress(100, 50.0, 3, 20, None, 2.0))
    >>> counts.died()
    >>> counts.moved(Progress(30, 30.0, 1, 5, None, 1.0))
    >>> total([counts], 3.0)
    Progress(records=130, records_per_s=30.0, commits=4, lag_records=5, stream_time_ms=None, elapsed_s=3.0, dropped=())
    """

    def __init__(self) -> None:
        self._earlier: list[Progress] = []
        self._now: Progress | None = None
        self.fresh = False

    def moved(self, progress: Progress) -> None:
        """The last word of the process that is at work."""
        self._now, self.fresh = progress, True

    def closed(self, summary: Stopped) -> None:
        """The last word of a process that ends in order."""
        time_ms = None if self._now is None else self._now.stream_time_ms
        figures = (summary.records, 0.0, summary.commits, 0, time_ms, summary.elapsed_s, summary.dropped)
        self._now = Progress(*figures)

    def died(self) -> None:
        """What comes now is counted by another process."""
        if self._now is not None:
            self._earlier.append(self._now._replace(records_per_s=0.0, lag_records=0))
            self._now = None

    def parts(self) -> list[Progress]:
        return self._earlier if self._now is None else [*self._earlier, self._now]


def total(counts: Iterable[Counts], elapsed_s: float) -> Progress:
    """How far all workers are together."""
    parts = [part for each in counts for part in each.parts()]
    dropped: Counter[tuple[str, str]] = Counter()
    for part in parts:
        dropped.update({(one.step, one.reason): one.records for one in part.dropped})
    return Progress(
        sum(part.records for part in parts),
        sum(part.records_per_s for part in parts),
        sum(part.commits for part in parts),
        sum(part.lag_records for part in parts),
        max((part.stream_time_ms for part in parts if part.stream_time_ms is not None), default=None),
        elapsed_s,
        tuple(Dropped(step, reason, records) for (step, reason), records in sorted(dropped.items())),
    )


def summary(counts: Iterable[Counts], reason: Reason, began_s: float) -> Stopped:
    """The end of all workers; `began_s` by the monotonic clock."""
    progress = total(counts, time.monotonic() - began_s)
    return Stopped(reason, progress.records, progress.commits, progress.elapsed_s, progress.dropped)
