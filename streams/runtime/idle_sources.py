"""Time without records: where a task's time goes when its input is idle.

Stream time is moved by records, so in Kafka Streams nothing leaves while input pauses: the last windows stay open, and
what waits for a match goes on waiting. With `source_idle_after_ms` a task that has had no record for so long takes the
largest time of all tasks of its sub-topology, and from there goes on with the clock on the wall, counted from their
last record. Whoever then sends what is older is late. A writer behind which the task stands, and which is not idle,
holds this back as it holds back everything else.
"""

from __future__ import annotations

from streams.operators.base import NO_TIME


class IdleSources:
    """What the tasks of one sub-topology know of each other: how far they have come, and when.

    >>> sources = IdleSources(after_ms=5_000)
    >>> sources.saw(time=70_000, now_ms=1_000)
    >>> sources.time(busy_ms=0, now_ms=4_999) == NO_TIME
    True
    >>> sources.time(busy_ms=0, now_ms=5_000), sources.time(busy_ms=1_000, now_ms=61_000)
    (74000, 130000)
    """

    def __init__(self, after_ms: int) -> None:
        self._after_ms = after_ms
        self._latest = NO_TIME
        self._latest_ms = 0

    def saw(self, time: int, now_ms: int) -> None:
        """A task has processed records, now or before it was started, up to a stream time."""
        self._latest = max(self._latest, time)
        self._latest_ms = max(self._latest_ms, now_ms)

    def time(self, busy_ms: int, now_ms: int) -> int:
        """The time of a task that had its last record at `busy_ms`; NO_TIME while it is not idle."""
        if self._latest == NO_TIME or now_ms - busy_ms < self._after_ms:
            return NO_TIME
        return self._latest + now_ms - self._latest_ms
