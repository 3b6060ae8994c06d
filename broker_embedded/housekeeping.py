"""What a broker does by the clock: retention, syncs that settings ask for, checkpoints."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.log.partition import PartitionLog

Partition = tuple[str, int]

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
        self._unsettled: dict[Partition, int] = {}  # and where it begins on the disk

    def delete_records(self, source: PartitionLog, before: int) -> int:
        """Let a log begin at `before`; its new start."""
        self._unsettled.setdefault((source.topic, source.partition), source.log_start_offset)
        return source.delete_records(before)

    def forget_topic(self, topic: str) -> None:
        self._unsettled = {key: start for key, start in self._unsettled.items() if key[0] != topic}

    def enforce_retention(self) -> None:
        """Remove the segments that retention lets go. Blocks for no disk."""
        logs = [source for source in self._cluster.logs() if (source.topic, source.partition) not in self._unsettled]
        if sum([source.enforce_retention() for source in logs]):
            self._checkpoint_soon()  # a log that begins later without a word looks like one that lost its beginning

    async def flush_due(self) -> None:
        """Sync the logs for which `flush.ms`, `flush.messages` or a rolled segment asks for it; write checkpoints."""
        due = [source for source in self._cluster.logs() if source.needs_sync()]
        if due:
            await self._cluster.flush(due)
        now_ms = self._cluster.now_ms()
        if self._unsettled and (now_ms - self._settled_ms >= _SETTLE_INTERVAL_MS or self._can_free_space()):
            self._settled_ms = now_ms
            await self._settle()
        if now_ms - self._checkpointed_ms >= _CHECKPOINT_INTERVAL_MS:
            self._checkpointed_ms = now_ms
            logs, starts = list(self._cluster.logs()), dict(self._unsettled)
            await self._cluster.keep_running(asyncio.to_thread(self._cluster.folder.write_checkpoints, logs, starts))

    def _can_free_space(self) -> bool:
        has_segment_before = self._cluster.folder.has_segment_before
        return any(has_segment_before(self._cluster.log(*key).log_start_offset, *key) for key in self._unsettled)

    async def _settle(self) -> None:
        starts = {key: self._cluster.log(*key).log_start_offset for key in self._unsettled}
        await self._cluster.flush(list(self._cluster.logs()))
        for key, start in starts.items():
            source = self._cluster.find_log(*key)
            if source is None or source.log_start_offset == start:
                self._unsettled.pop(key, None)
            else:
                self._unsettled[key] = start
        self._checkpoint_soon()

    def _checkpoint_soon(self) -> None:
        self._checkpointed_ms = self._cluster.now_ms() - _CHECKPOINT_INTERVAL_MS
