"""The settings of a log: Kafka's topic configs that the log itself reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from broker_embedded.errors import InvalidConfigError

_DAY_MS: Final = 86_400_000
_INT32_MAX: Final = 2**31 - 1
NO_LIMIT: Final = 2**63 - 1

_CODECS: Final = ("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd")

# Kafka has these too; the log does not read them.
_OTHER_TOPIC_CONFIGS: Final = frozenset(
    {
        "compression.gzip.level",
        "compression.lz4.level",
        "compression.zstd.level",
        "follower.replication.throttled.replicas",
        "leader.replication.throttled.replicas",
        "local.retention.bytes",
        "local.retention.ms",
        "min.insync.replicas",
        "preallocate",
        "remote.log.copy.disable",
        "remote.log.delete.on.disable",
        "remote.storage.enable",
        "segment.jitter.ms",
        "unclean.leader.election.enable",
    }
)


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Settings of one log under Kafka's names in snake case; units and defaults are Kafka's.

    One default is not: records from the future are taken (Kafka: up to an hour), since clocks in tests are virtual.

    >>> LogConfig.from_configs({"segment.bytes": "1048576", "cleanup.policy": "compact"}).segment_bytes
    1048576
    >>> LogConfig.from_configs({"segment.byte": "1048576"})
    Traceback (most recent call last):
    ...
    broker_embedded.errors.InvalidConfigError: segment.byte is not a topic config; did you mean segment.bytes?
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

    @classmethod
    def from_configs(cls, configs: Mapping[str, str]) -> LogConfig:
        """From Kafka's dotted names and text values. Raises InvalidConfigError for a bad name or value.

        Names that Kafka has and the log does not read (`min.insync.replicas`) are left out.
        """
        values = {}
        for name, text in configs.items():
            if name in _OTHER_TOPIC_CONFIGS:
                continue
            if name not in _PARSERS:
                near = get_close_matches(name, [*_PARSERS, *_OTHER_TOPIC_CONFIGS], 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise InvalidConfigError(f"{name} is not a topic config{hint}")
            values[name.replace(".", "_")] = _PARSERS[name](name, text)
        config = dataclasses.replace(cls(), **values)
        if config.min_compaction_lag_ms > config.max_compaction_lag_ms:
            raise InvalidConfigError(
                f"min.compaction.lag.ms={config.min_compaction_lag_ms} is above "
                f"max.compaction.lag.ms={config.max_compaction_lag_ms}"
            )
        return config


def _number(least: int, most: int) -> Callable[[str, str], Any]:
    def parse(name: str, text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise InvalidConfigError(f"{name}={text!r} is not a whole number") from None
        if not least <= value <= most:
            raise InvalidConfigError(f"{name}={value} is out of range, {least} to {most}")
        return value

    return parse


def _share(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InvalidConfigError(f"{name}={text!r} is not a number") from None
    if not 0 <= value <= 1:
        raise InvalidConfigError(f"{name}={value} is out of range, 0 to 1")
    return value


def _choice(*allowed: str) -> Callable[[str, str], Any]:
    def parse(name: str, text: str) -> str:
        if text not in allowed:
            raise InvalidConfigError(f"{name}={text!r} must be one of {', '.join(allowed)}")
        return text

    return parse


def _policies(name: str, text: str) -> str:
    for policy in text.split(","):
        _choice("delete", "compact")(name, policy.strip())
    return text


_PARSERS: Final[dict[str, Callable[[str, str], Any]]] = {
    "segment.bytes": _number(14, _INT32_MAX),
    "segment.ms": _number(1, NO_LIMIT),
    "segment.index.bytes": _number(24, _INT32_MAX),
    "index.interval.bytes": _number(0, _INT32_MAX),
    "retention.ms": _number(-1, NO_LIMIT),
    "retention.bytes": _number(-1, NO_LIMIT),
    "cleanup.policy": _policies,
    "max.message.bytes": _number(0, _INT32_MAX),
    "message.timestamp.type": _choice("CreateTime", "LogAppendTime"),
    "message.timestamp.before.max.ms": _number(0, NO_LIMIT),
    "message.timestamp.after.max.ms": _number(0, NO_LIMIT),
    "compression.type": _choice(*_CODECS),
    "flush.messages": _number(1, NO_LIMIT),
    "flush.ms": _number(0, NO_LIMIT),
    "file.delete.delay.ms": _number(0, NO_LIMIT),
    "producer.id.expiration.ms": _number(1, NO_LIMIT),
    "delete.retention.ms": _number(0, NO_LIMIT),
    "min.cleanable.dirty.ratio": _share,
    "min.compaction.lag.ms": _number(0, NO_LIMIT),
    "max.compaction.lag.ms": _number(1, NO_LIMIT),
}
