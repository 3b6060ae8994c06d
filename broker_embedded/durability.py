"""What must be on the disk, and work that must not stop halfway."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from broker_embedded.errors import KafkaStorageError
from broker_embedded.log import disk
from broker_embedded.topics import TRANSACTIONS_TOPIC

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.log.partition import PartitionLog

T = TypeVar("T")


class Durability:
    """Sees logs of a cluster to the disk, in threads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._running: set[asyncio.Task[Any]] = set()

    async def flush(self, logs: Sequence[PartitionLog]) -> None:
        """See `logs` to the disk, and before them what was decided about them: see the rules in agreement.py."""
        await self.sync([*self._cluster.topics[TRANSACTIONS_TOPIC].partitions, *logs])

    async def sync(self, logs: Sequence[PartitionLog]) -> None:
        """See what `logs` hold to the disk. After a failure nothing is served any more.

        What a disk holds after a failed fsync is unknown, and asking again may say "done" for bytes that are gone.
        Kafka gives up the log directory then; for us that is the broker.
        """
        pending = [(source, source.log_end_offset) for source in logs if source.recovery_point < source.log_end_offset]
        await self.keep_running(self._sync(pending))

    async def _sync(self, ends: Sequence[tuple[PartitionLog, int]]) -> None:
        try:
            await asyncio.to_thread(_sync_all, ends)
        except KafkaStorageError as error:
            self._cluster.stop_serving(f"has stopped serving: {error}")
            raise

    async def keep_running(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`, which goes on to its end when the caller is cancelled."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def finish(self) -> None:
        """Wait for all that runs."""
        if self._running:
            await asyncio.wait(self._running)


def _sync_all(ends: Sequence[tuple[PartitionLog, int]]) -> None:
    """Up to the ends that the logs had at one moment: a marker's decision, written before, is on the disk first."""
    others = []
    for source, end in ends:
        if source.topic == TRANSACTIONS_TOPIC:
            source.sync(end)
        else:
            others.append(partial(source.sync, end))
    disk.side_by_side(others)
