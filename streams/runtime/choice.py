"""Which partition of a task goes next: the one whose next record is the earliest, once enough is known of the others.

How long a task waits for a partition that has nothing is `max_task_idle_ms` (KIP-695, Kafka Streams' `PartitionGroup`):
for what is known to be in the log always, for what may yet be written so long; with -1 for neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from streams.runtime.queue import PartitionQueue


class Chosen(NamedTuple):
    """A partition, and the time (ms) up to which it may go before the choice is made anew; None: no bound."""

    queue: PartitionQueue
    until: int | None


class Choice:
    """Chooses among `queues`; `now_ms` is the clock by which it waits."""

    def __init__(self, queues: Sequence[PartitionQueue], max_idle_ms: int, now_ms: Callable[[], int]) -> None:
        self._queues = queues
        self._internal = [queue for queue in queues if queue.internal]
        self._max_idle_ms = max_idle_ms
        self._now_ms = now_ms
        self._deadlines: dict[PartitionQueue, int] = {}

    def next(self) -> Chosen | None:
        """None: there is nothing to process now."""
        if len(self._queues) == 1:
            return Chosen(self._queues[0], None)
        heads: list[tuple[int, int]] = []
        for at, queue in enumerate(self._queues):
            head = queue.head()
            if head is not None:
                heads.append((head, at))
            elif self._max_idle_ms >= 0 and queue.lagging():
                return None
        if not heads or self._waits():
            return None
        first = self._first(heads)
        bounds = [self._bound(first, at, head) for head, at in heads if at != first]
        return Chosen(self._queues[first], min(bounds, default=None))

    def _first(self, heads: list[tuple[int, int]]) -> int:
        """The earliest. Of equal timestamps the earlier queue's goes first; of several behind repartitions they take
        turns, as what came of one record is together in each (a priority queue in Kafka Streams).
        """
        earliest, first = min(heads)
        tied = [at for head, at in heads if head == earliest and self._queues[at].internal]
        return min(tied, key=lambda at: self._queues[at].turn) if first in tied else first

    def _bound(self, first: int, other: int, head: int) -> int:
        """Up to when the first goes, or the size of a run would show in the order."""
        takes_turns = self._queues[first].internal and self._queues[other].internal
        return head if first < other and not takes_turns else head - 1

    @property
    def takes_turns(self) -> bool:
        """Whether there are several behind repartitions."""
        return len(self._internal) > 1

    def dump(self) -> list[str]:
        """The topics of those behind repartitions that have something, in turn; `load` takes it after a restart."""
        waiting = [queue for queue in self._internal if not queue.is_empty()]
        return [queue.tp.topic for queue in sorted(waiting, key=lambda queue: queue.turn)]

    def load(self, topics: list[str]) -> None:
        for queue in self._internal:
            if queue.tp.topic in topics:
                queue.turn_at_start = topics.index(queue.tp.topic) - len(topics)

    @property
    def waits_until_ms(self) -> int | None:
        """Up to when records that are here wait for such as may yet come; None: they do not."""
        return max(self._deadlines.values(), default=None) if self._waits() else None

    def _waits(self) -> bool:
        """Whether a partition has nothing, and that for less than it may. Partitions that end get nothing more."""
        if self._max_idle_ms <= 0:
            return False
        now_ms = self._now_ms()
        empty = [queue for queue in self._queues if queue.is_empty() and not queue.ends]
        self._deadlines = {queue: self._deadlines.get(queue, now_ms + self._max_idle_ms) for queue in empty}
        return len(empty) < len(self._queues) and any(now_ms < deadline for deadline in self._deadlines.values())
