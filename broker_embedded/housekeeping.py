"""What a broker does by the clock: retention, syncs that settings ask for, checkpoints, compaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from broker_embedded.cleaner import Cleaner
from broker_embedded.topics import Partition

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.log.partition import PartitionLog

_CHECKPOINT_INTERVAL_MS = 60_000  # log.flush.offset.checkpoint.interval.ms
_SETTLE_INTERVAL_MS = 600_000


class Housekeeping:
    """The clockwork of a cluster.

    Records deleted by request (`delete_records`) are out of sight at once. They leave the disk, and the new start of
    their log goes there, when all commits so far are on the disk: a power cut that takes back the commit of those who
    read the records must leave them to be read again. Until then a log is `_unsettled`.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._checkpointed_ms = self._settled_ms = cluster.now_ms()
        self._retention_due_ms = cluster.now_ms() + cluster.config.log_initial_task_delay_ms
        self._unsettled: dict[Partition, int] = {}  # and where it begins on the disk
        self._writing = asyncio.Lock()  # checkpoints, which both the clock and the cleaner ask for
        self.cleaner = Cleaner(cluster)

    def delete_records(self, source: PartitionLog, before: int) -> int:
        """As `PartitionLog.delete_records`: let a log begin at `before`, -1 being its end; its new start."""
        start = source.log_start_offset
        try:
            return source.delete_records(before)
        finally:
            if source.log_start_offset != start:  # also when its epochs could not be written
                self._unsettled.setdefault((source.topic, source.partition), start)

    def forget_topic(self, topic: str) -> None:
        self._unsettled = {key: start for key, start in self._unsettled.items() if key[0] != topic}

    async def let_go(self, topic: str) -> None:
        """Be done with the logs of a topic that is already gone from the cluster."""
        await self.cleaner.let_go(topic)

    def marker_written(self) -> None:
        """A transaction has ended in a partition."""
        if self.cleaner.awaits_quiet:
            self.cleaner.look_for_quiet()

    def stop(self) -> None:
        """Begin nothing more, and end what takes long."""
        self.cleaner.stop()

    def enforce_retention_if_due(self) -> None:
        """As `enforce_retention`, at `log.retention.check.interval.ms`.

        Not at once, as in Kafka: whoever writes records with old timestamps can read them for a while.
        """
        if self._cluster.now_ms() >= self._retention_due_ms:
            self._retention_due_ms = self._cluster.now_ms() + self._cluster.config.log_retention_check_interval_ms
            self.enforce_retention()

    def enforce_retention(self) -> None:
        """Remove the segments that retention lets go. Blocks for no disk."""
        self._remove(self._cluster.logs())

    def _remove(self, logs: Iterable[PartitionLog]) -> None:
        shortened = 0
        for source in logs:
            if (source.topic, source.partition) in self._unsettled or self.cleaner.is_busy_with(source):
                continue
            if source.enforce_retention():
                shortened += 1
                self._cluster.progress.made(source.topic, source.partition)  # whoever waits learns of the new start
        if shortened:
            self._checkpoint_soon()  # a log that begins later without a word looks like one that lost its beginning

    async def flush_due(self) -> None:
        """Sync the logs for which `flush.ms`, `flush.messages` or a rolled segment asks for it; write checkpoints."""
        due = [source for source in self._cluster.logs() if source.needs_sync()]
        if due:
            await self._cluster.durability.flush(due)
        now_ms = self._cluster.now_ms()
        if self._unsettled and (now_ms - self._settled_ms >= _SETTLE_INTERVAL_MS or self._can_free_space()):
            self._settled_ms = now_ms
            await self._settle()
        if self._cluster.now_ms() - self._checkpointed_ms >= _CHECKPOINT_INTERVAL_MS:
            await self.write_checkpoints()
        self.cleaner.start_if_due()

    async def write_checkpoints(self) -> None:
        """Write down up to where logs are on the disk, and where they begin there."""
        async with self._writing:
            self._checkpointed_ms = self._cluster.now_ms()
            logs = list(self._cluster.logs())
            # As they are now: records that are deleted while the thread is at it are not settled.
            starts = {(source.topic, source.partition): source.log_start_offset for source in logs} | self._unsettled
            await self._cluster.durability.keep_running(
                asyncio.to_thread(self._cluster.folder.write_checkpoints, logs, starts)
            )
        if any(self._cluster.find_log(source.topic, source.partition) is not source for source in logs):
            await self.write_checkpoints()  # a topic went meanwhile: what is written of it is not another's

    def _can_free_space(self) -> bool:
        return any(self._cluster.log(*key).can_free_space for key in self._unsettled)

    async def _settle(self) -> None:
        starts = {key: self._cluster.log(*key).log_start_offset for key in self._unsettled}
        await self._cluster.durability.flush(list(self._cluster.logs()))
        settled = []
        for key, start in starts.items():
            source = self._cluster.find_log(*key)
            if source is not None and source.log_start_offset != start:
                self._unsettled[key] = start
                continue
            self._unsettled.pop(key, None)
            if source is not None:
                settled.append(source)
        self._remove(settled)
        self._checkpoint_soon()

    def _checkpoint_soon(self) -> None:
        self._checkpointed_ms = self._cluster.now_ms() - _CHECKPOINT_INTERVAL_MS
