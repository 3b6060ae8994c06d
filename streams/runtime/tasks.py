"""What a worker works on: tasks and sources that are open, and those on their way. Both come and go while the others go
on: they are opened, and closed, between two rounds of the loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from streams.runtime.arrivals import Arrivals
from streams.runtime.ingest import Ingest
from streams.runtime.parts import Parts
from streams.runtime.queue import PartitionQueue
from streams.runtime.steps import reach
from streams.runtime.task import Task
from streams.transport.contract import TopicPartition


class Tasks:
    """`open` and `ingests` are at work, in the order of the plan. `limits` says which partitions are read to which
    offset and no further.
    """

    def __init__(self, parts: Parts, arrivals: Arrivals) -> None:
        self._parts = parts
        self._order = {name: place for place, name in enumerate(parts.names)}
        self.arrivals = arrivals
        self.open: list[Task] = []
        self.ingests: list[Ingest] = []
        self.queue_of: dict[TopicPartition, PartitionQueue] = {}
        self.limits: Mapping[TopicPartition, int] = {}
        self.records_before = 0
        """Records of topics that those took which are closed."""

    @property
    def coming(self) -> bool:
        """Whether some are on their way."""
        return bool(self.arrivals.under_way)

    @property
    def due(self) -> bool:
        """Whether `open_ready` has something to do."""
        return self.arrivals.due

    def open_ready(self) -> bool:
        """Opens those that are ready; whether there were any. Raises what went wrong on the way."""
        ready = self.arrivals.take()
        for one in ready:
            reach("assign: open")
            one.open()
            if isinstance(one.made, Task):
                self._add(one.made)
            else:
                self.ingests.append(one.made)
        self.open.sort(key=lambda task: self._order[task.id])
        self.ingests.sort(key=lambda ingest: self._order[ingest.name])
        return bool(ready)

    def _add(self, task: Task) -> None:
        self.open.append(task)
        for queue in task.queues:
            self.queue_of[queue.tp] = queue
            if queue.tp in self.limits:
                queue.stop_at(self.limits[queue.tp])

    async def give_up(self, names: Iterable[str]) -> None:
        """Closes some, and whatever they hold; what was not committed of them is dropped."""
        going = set(names)
        reach("revoke: close")
        await self.arrivals.drop(going & self.arrivals.under_way.keys())
        for task in [task for task in self.open if task.id in going]:
            self.open.remove(task)
            self.records_before += task.records
            for queue in task.queues:
                del self.queue_of[queue.tp]
            await task.close()
            self._parts.release(task.id)
        for ingest in [ingest for ingest in self.ingests if ingest.name in going]:
            self.ingests.remove(ingest)
            await ingest.close()
            self._parts.release(ingest.name)

    async def close(self, attempt: Callable[[Callable[[], Awaitable[None] | None]], Awaitable[None]]) -> None:
        """Ends all that runs; the stores stay open."""
        await attempt(self.arrivals.close)
        for ingest in self.ingests:
            await attempt(ingest.close)
        for task in self.open:
            await attempt(task.close)
