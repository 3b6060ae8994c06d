"""Compaction in the background: which logs, when, and up to where (Kafka's LogCleaner and LogCleanerManager).

The dirtiest log comes first. The work is done in threads, a little at a time; what the log's owner does, putting a
segment in the place of others, takes microseconds. Up to where a log is clean stands in `cleaner-offset-checkpoint`.

**What may be touched.** After a power cut, `agreement.py` may cut logs back, and what compaction took away cannot come
back. Cuts begin with transactions that were undecided, or whose decision was not on the disk, and take along those that
overlap with them. So nothing is touched but what was there when no transaction was open anywhere (`_settle`), and then
only once all that was decided up to then is on the disk, and the recovery points say so. In a log no cut reaches behind
the first transactional batch since that moment (`PartitionLog.revocable_offset`).

Beside transactions that always overlap there is no such moment, and compaction waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from broker_embedded.errors import KafkaError
from broker_embedded.log import checkpoints, disk, swap
from broker_embedded.log.compaction import Compaction, CompactionStopped
from broker_embedded.records import CorruptBatchError
from broker_embedded.topics import INTERNAL_TOPICS, TRANSACTIONS_TOPIC, Partition

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.log.cleanable import Cleanable
    from broker_embedded.log.partition import PartitionLog

log = logging.getLogger(__name__)

ROLL_INTERNAL_BYTES = 1 << 20
"""Internal topics go on in a new segment after so much: starts read them whole, and the open one is not compacted."""

_RETRY_MS: Final = 600_000
_BURST_S: Final = 0.001
_REST_S: Final = 0.001


class Pace:
    """Lets other threads have the interpreter every millisecond; after `stop` it ends the compaction."""

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self._is_stopped = False

    def stop(self) -> None:
        self._is_stopped = True

    def __call__(self) -> None:
        if self._is_stopped:
            raise CompactionStopped
        if time.perf_counter() - self._since >= _BURST_S:
            time.sleep(_REST_S)
            self._since = time.perf_counter()


class Cleaner:
    """Compacts the logs of a cluster, one after the other."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._checked_ms = cluster.now_ms()
        self._clean_to: dict[Partition, int] | None = None
        self._retry_ms: dict[Partition, int] = {}
        self._flushed_decisions: list[int] = []
        self._running: asyncio.Task[None] | None = None
        self._busy_with: PartitionLog | None = None
        self._pace = Pace()
        self._is_stopped = False
        self.awaits_quiet = False
        """Whether compaction waits for a moment without open transactions; `look_for_quiet` is to be called then."""

    # When

    def start_if_due(self) -> None:
        """Begin to clean, in a task, if there is something to clean: looked for every `log.cleaner.backoff.ms`."""
        cluster = self._cluster
        now_ms = cluster.now_ms()
        is_running = self._running is not None and not self._running.done()
        if is_running or not cluster.config.log_cleaner_enable:
            return
        if now_ms - self._checked_ms < cluster.config.log_cleaner_backoff_ms:
            return
        self._checked_ms = now_ms
        for name in INTERNAL_TOPICS:
            for source in cluster.topics[name].partitions:
                source.roll_beyond(ROLL_INTERNAL_BYTES)
        if self._is_quiet():
            self._settle()
        if self._is_due(self._limits()):
            self._running = asyncio.ensure_future(cluster.durability.keep_running(self.clean()))
            self._running.add_done_callback(_report)
        elif not self.awaits_quiet:
            self.awaits_quiet = self._is_due(self._ends())

    async def clean(self) -> None:
        """Clean all that is due, the dirtiest log first."""
        if self._is_quiet():
            self._settle()
        limits = self._limits()
        if not self._is_due(limits):
            return
        await self._flush()
        while due := self._due(limits):
            for key in due:
                cleanable = self._cleanable(key, limits[key])
                if self._is_stopped:
                    return
                if cleanable is not None:
                    await self._clean(self._cluster.log(*key), cleanable)

    def stop(self) -> None:
        """End what runs, and begin nothing more."""
        self._is_stopped = True
        self._pace.stop()

    async def let_go(self, topic: str) -> None:
        """Be done with the logs of a topic, which is already gone from the cluster."""
        while self._busy_with is not None and self._busy_with.topic == topic:
            self._pace.stop()
            await asyncio.sleep(0.001)
        for known in (self._clean_to or {}, self._retry_ms):
            for key in [key for key in known if key[0] == topic]:
                del known[key]

    def is_busy_with(self, source: PartitionLog) -> bool:
        return self._busy_with is source

    # What

    def look_for_quiet(self) -> None:
        """A transaction has ended: perhaps none is open."""
        if self._is_quiet():
            self.awaits_quiet = False
            self._settle()

    def _is_quiet(self) -> bool:
        return not any(source.producers.open_transactions for source in self._cluster.logs())

    def _settle(self) -> None:
        """No transaction is open: once all is on the disk, no cut reaches what there is now."""
        for source in self._cluster.logs():
            source.revocable_offset = None
        for source in self._decisions():
            source.revocable_offset = source.log_end_offset

    def _decisions(self) -> list[PartitionLog]:
        return self._cluster.topics[TRANSACTIONS_TOPIC].partitions

    def _limits(self) -> dict[Partition, int]:
        """By partition, what no cut reaches once all is on the disk as it is now."""
        return {
            (source.topic, source.partition): (
                source.log_end_offset if source.revocable_offset is None else source.revocable_offset
            )
            for source in self._compacted()
        }

    def _ends(self) -> dict[Partition, int]:
        return {(source.topic, source.partition): source.log_end_offset for source in self._compacted()}

    def _compacted(self) -> Iterator[PartitionLog]:
        return (source for source in self._cluster.logs() if source.config.compacts)

    async def _flush(self) -> None:
        """See to the disk what the limits rest on: all logs, if anything was decided since the last time."""
        cluster = self._cluster
        decisions = [source.log_end_offset for source in self._decisions()]
        if decisions != (self._flushed_decisions or [0] * len(decisions)):
            await cluster.durability.flush(list(cluster.logs()))
            self._flushed_decisions = decisions
        else:
            await cluster.durability.flush(list(self._compacted()))
        await cluster.housekeeping.write_checkpoints()

    def _due(self, limits: dict[Partition, int]) -> list[Partition]:
        """What is worth while, the dirtiest first. Looked up once for all of them, as each look goes over all logs."""
        found = {key: cleanable.ratio for key, limit in limits.items() if (cleanable := self._cleanable(key, limit))}
        return sorted(found, key=found.__getitem__, reverse=True)

    def _is_due(self, limits: dict[Partition, int]) -> bool:
        return any(self._cleanable(key, limit) is not None for key, limit in limits.items())

    def _cleanable(self, key: Partition, limit: int) -> Cleanable | None:
        """What can be cleaned of a log, if that is worth while."""
        source = self._cluster.find_log(*key)
        if source is None or not source.config.compacts or self._retry_ms.get(key, 0) > self._cluster.now_ms():
            return None
        cleanable = source.cleanable(self._known().get(key, 0), limit)
        return cleanable if cleanable.is_due(source.config) else None

    def _known(self) -> dict[Partition, int]:
        if self._clean_to is None:
            self._clean_to = checkpoints.read_offsets(self._cluster.folder.path / checkpoints.CLEANED)
        return self._clean_to

    # How

    async def _clean(self, source: PartitionLog, cleanable: Cleanable) -> None:
        key = source.topic, source.partition
        self._busy_with, self._pace = source, Pace()
        try:
            end = await self._compact(source, cleanable)
            if end == cleanable.first_dirty:
                self._retry_ms[key] = self._cluster.now_ms() + _RETRY_MS
            self._known()[key] = end
            path = self._cluster.folder.path / checkpoints.CLEANED
            await asyncio.to_thread(checkpoints.sync_offsets, path, dict(self._known()))
        except CompactionStopped:
            log.debug("compaction of %s-%d was stopped", *key)
        except (KafkaError, CorruptBatchError) as error:
            if self._cluster.find_log(*key) is source:
                log.warning("%s-%d was not compacted, and stays as it is for ten minutes: %s", *key, error)
                self._retry_ms[key] = self._cluster.now_ms() + _RETRY_MS
        finally:
            self._busy_with = None

    async def _compact(self, source: PartitionLog, cleanable: Cleanable) -> int:
        """Up to where the log is clean afterwards."""
        run = Compaction(
            source.plan_compaction(cleanable), self._cluster.config.log_cleaner_dedupe_buffer_size, self._pace
        )
        await asyncio.to_thread(run.read_keys)
        folder = str(source.folder)
        for group in await asyncio.to_thread(lambda: list(run.groups())):
            cleaned = await asyncio.to_thread(run.clean, group)
            if not source.replace(cleaned):
                await asyncio.to_thread(swap.remove, source.folder, cleaned.segment.base_offset)
                raise CompactionStopped
            await asyncio.to_thread(disk.sync_folder, folder)
            source.settle(cleaned)
            await asyncio.to_thread(disk.sync_folder, folder)
        return run.end_offset


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("compaction has failed: %s", error, exc_info=error)
