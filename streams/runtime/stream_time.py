"""Time behind a repartition: held back to the smallest stream time of the tasks that write there.

At each commit a task writes, to each partition of each repartition topic it feeds, a marker with its own stream time: a
record without a key (data always has one) whose value is `writer, time, idle`. Behind a repartition with several
writers an operator's time goes no further than the smallest of the writers' last markers, so a backfill with one
partition far ahead drops nothing as late. A writer that is idle no longer holds back. Behind one writer that nobody
holds back the rule of Kafka Streams is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct

from streams.graph.plan import Plan
from streams.operators.base import NO_TIME

NO_BOUND = 2**63 - 1

_MARKER = Struct(">iq?")


def marker(writer: int, time: int, idle: bool) -> bytes:
    """The value of a marker record.

    >>> read_marker(marker(3, 1_700_000_000_000, False))
    (3, 1700000000000, False)
    """
    return _MARKER.pack(writer, time, idle)


def read_marker(value: bytes) -> tuple[int, int, bool]:
    """Writer, its stream time, and whether it is idle."""
    writer, time, idle = _MARKER.unpack(value)
    return writer, time, idle


def holding_back(plan: Plan, tasks: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """By sub-topology, the repartition topics that hold its time back, each with the number of tasks that write it:
    several, or one that is held back itself. `tasks` has the number of tasks of each sub-topology.
    """
    found: dict[str, dict[str, int]] = {sub.id: {} for sub in plan.subtopologies}
    steps = [(node.topic, writer) for writer in plan.subtopologies for node in writer.repartitions]
    for _ in plan.subtopologies:  # it goes on at most from the first to the last
        for topic, writer in steps:
            if tasks[writer.id] > 1 or found[writer.id]:
                for reader in plan.readers(topic):
                    found[reader.id][topic.name] = tasks[writer.id]
    return found


class WriterTimes:
    """The last marker of each of `writers` tasks, for one repartition partition.

    >>> times = WriterTimes(2)
    >>> times.bound() == NO_TIME
    True
    >>> times.update(0, 100, False); times.update(1, 70, False); times.bound()
    70
    >>> times.update(1, 70, True); times.bound()
    100
    """

    def __init__(self, writers: int) -> None:
        self.writers = writers
        self._times: dict[int, tuple[int, bool]] = {}

    def update(self, writer: int, time: int, idle: bool) -> None:
        """A marker was read; a writer's time never goes back."""
        before = self._times.get(writer, (NO_TIME, False))[0]
        self._times[writer] = (max(before, time), idle)

    def bound(self) -> int:
        """How far time may go."""
        return time_bound([self])

    @property
    def holding(self) -> list[int]:
        """The times of those that are not idle; one of which nothing is known holds everything."""
        found = [time for time, idle in self._times.values() if not idle]
        return found if len(self._times) == self.writers else [NO_TIME]

    @property
    def latest(self) -> int:
        """The largest time that a writer has told."""
        return max((time for time, _ in self._times.values()), default=NO_TIME)

    def dump(self) -> list[tuple[int, int, bool]]:
        """For `Clocks`."""
        return [(writer, time, idle) for writer, (time, idle) in sorted(self._times.items())]

    def load(self, dumped: list[tuple[int, int, bool]]) -> None:
        """What `dump` gave."""
        self._times = {writer: (time, idle) for writer, time, idle in dumped}


def time_bound(topics: Sequence[WriterTimes]) -> int:
    """How far time may go behind several repartition topics: those of which all writers are idle hold back no other.

    >>> left, right = WriterTimes(1), WriterTimes(1)
    >>> left.update(0, 100, False); right.update(0, 70, True); time_bound([left, right])
    100
    """
    if not topics:
        return NO_BOUND
    holding = [time for times in topics for time in times.holding]
    return min(holding) if holding else max(times.latest for times in topics)
