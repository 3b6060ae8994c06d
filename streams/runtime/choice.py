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
        _, first = min(heads)
        if len(heads) == 1:
            return Chosen(self._queues[first], None)
        head, second = min(found for found in heads if found[1] != first)
        # Of equal timestamps the earlier queue's goes first, or the size of a run would show in the order.
        return Chosen(self._queues[first], head if first < second else head - 1)

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
