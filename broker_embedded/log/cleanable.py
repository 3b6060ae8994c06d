"""Which part of a log may be compacted, and how much there is to gain (Kafka's LogCleanerManager).

Never the open segment, nothing younger than `min.compaction.lag.ms`, and nothing beyond a limit that the caller knows:
what is undecided, and what a power cut could take back.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from broker_embedded.log.config import NO_LIMIT, LogConfig
from broker_embedded.log.segment import Segment


class Cleanable(NamedTuple):
    """The dirty part, from offset `first_dirty` to before `end`, where a segment begins, behind the clean one."""

    first_dirty: int
    end: int
    clean_bytes: int
    dirty_bytes: int
    is_overdue: bool

    @property
    def ratio(self) -> float:
        """The dirty share.

        >>> Cleanable(10, 40, 100, 300, False).ratio
        0.75
        """
        total_bytes = self.clean_bytes + self.dirty_bytes
        return self.dirty_bytes / total_bytes if total_bytes else 0.0

    def is_due(self, config: LogConfig) -> bool:
        """Whether it is worth while, or `max.compaction.lag.ms` asks for it."""
        return self.dirty_bytes > 0 and (self.is_overdue or self.ratio > config.min_cleanable_dirty_ratio)


def find_cleanable(
    segments: Sequence[Segment], config: LogConfig, *, first_dirty: int, limit: int, now_ms: int
) -> Cleanable:
    """What may be cleaned below `limit`. `first_dirty` is where the last compaction ended."""
    bases = [segment.base_offset for segment in segments]
    dirty = max(0, bisect_right(bases, first_dirty) - 1)
    stop = min(max(0, bisect_right(bases, limit) - 1), len(segments) - 1)
    if config.min_compaction_lag_ms > 0:
        stop = _before_young(segments, dirty, stop, now_ms - config.min_compaction_lag_ms)
    clean_bytes = sum(segment.size_bytes for segment in segments[:stop] if segment.base_offset < first_dirty)
    dirty_bytes = sum(segment.size_bytes for segment in segments[dirty:stop])
    overdue = _is_overdue(segments[dirty:stop], config, now_ms)
    return Cleanable(first_dirty, bases[stop], clean_bytes, dirty_bytes, overdue)


def _before_young(segments: Sequence[Segment], dirty: int, stop: int, since_ms: int) -> int:
    for number in range(dirty, stop):
        segments[number].load()
        if segments[number].max_timestamp > since_ms:
            return number
    return stop


def _is_overdue(segments: Sequence[Segment], config: LogConfig, now_ms: int) -> bool:
    if config.max_compaction_lag_ms == NO_LIMIT:
        return False
    for segment in segments:
        segment.load()
        if 0 < segment.first_timestamp < now_ms - config.max_compaction_lag_ms:
            return True
    return False
