"""The settings of a log: Kafka's topic configs that the log itself reads.

`configs.topics.to_log_config` makes them of names and texts, and says which values are valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_DAY_MS: Final = 86_400_000
NO_LIMIT: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Settings of one log under Kafka's names in snake case; units and defaults are Kafka's.

    >>> LogConfig(cleanup_policy="compact,delete").compacts
    True
    """

    segment_bytes: int = 1 << 30
    segment_ms: int = 7 * _DAY_MS
    segment_index_bytes: int = 10 << 20
    index_interval_bytes: int = 4096
    retention_ms: int = 7 * _DAY_MS
    retention_bytes: int = -1
    cleanup_policy: str = "delete"
    max_message_bytes: int = 1_048_588
    message_timestamp_type: str = "CreateTime"
    message_timestamp_before_max_ms: int = NO_LIMIT
    message_timestamp_after_max_ms: int = 3_600_000
    compression_type: str = "producer"
    flush_messages: int = NO_LIMIT
    flush_ms: int = NO_LIMIT
    file_delete_delay_ms: int = 60_000
    producer_id_expiration_ms: int = _DAY_MS
    delete_retention_ms: int = _DAY_MS
    min_cleanable_dirty_ratio: float = 0.5
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = NO_LIMIT

    @property
    def deletes(self) -> bool:
        """Whether old segments are removed by time and size."""
        return "delete" in self.cleanup_policy

    @property
    def compacts(self) -> bool:
        """Whether only the newest record of a key must stay, so that offsets may have gaps."""
        return "compact" in self.cleanup_policy

    @property
    def max_segment_ms(self) -> int:
        """Age from which a new segment is begun; what must be compacted soon must not stay in the open segment long."""
        return min(self.segment_ms, self.max_compaction_lag_ms) if self.compacts else self.segment_ms
