"""Kafka's topic configs: names, types, defaults, valid values, and the broker's settings that are defaults for them.

Everything is checked here, also what no log reads; the log gets its part as a `LogConfig`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from broker_embedded.configs.definitions import ConfigType, Definition, read_table
from broker_embedded.errors import InvalidConfigError
from broker_embedded.log.config import LogConfig

if TYPE_CHECKING:
    from broker_embedded.config import BrokerConfig

TOPIC_CONFIGS: Final = read_table("""
cleanup.policy | list | delete | list of compact, delete | old data: delete it, compact it, both, or (empty) keep it
compression.gzip.level | int | -1 | gzip level | gzip level, if the broker compresses
compression.lz4.level | int | 9 | 1 to 17 | lz4 level, if the broker compresses
compression.type | string | producer | one of uncompressed, zstd, lz4, snappy, gzip, producer | codec of batches on disk
compression.zstd.level | int | 3 | -131072 to 22 | zstd level, if the broker compresses
delete.retention.ms | long | 86400000 | >= 0 | how long tombstones stay in a compacted topic
file.delete.delay.ms | long | 60000 | >= 0 | time between a segment's removal and that of its files
flush.messages | long | 9223372036854775807 | >= 1 | sync after so many records
flush.ms | long | 9223372036854775807 | >= 0 | sync after so much time
follower.replication.throttled.replicas | list | | throttled replicas | no effect on a single broker
index.interval.bytes | int | 4096 | >= 0 | bytes of log per entry of an index
leader.replication.throttled.replicas | list | | throttled replicas | no effect on a single broker
local.retention.bytes | long | -2 | >= -2 | no effect without tiered storage
local.retention.ms | long | -2 | >= -2 | no effect without tiered storage
max.compaction.lag.ms | long | 9223372036854775807 | >= 1 | a record is compacted at the latest after this time
max.message.bytes | int | 1048588 | >= 0 | largest batch, as compressed
message.timestamp.after.max.ms | long | 3600000 | >= 0 | how far a timestamp may be ahead of the broker's clock
message.timestamp.before.max.ms | long | 9223372036854775807 | >= 0 | how far a timestamp may be behind it
message.timestamp.type | string | CreateTime | one of CreateTime, LogAppendTime | the producer's time, or the broker's
min.cleanable.dirty.ratio | double | 0.5 | 0 to 1 | share of uncompacted bytes from which a log is compacted
min.compaction.lag.ms | long | 0 | >= 0 | a record stays uncompacted at least this long
min.insync.replicas | int | 1 | >= 1 | no effect on a single broker
preallocate | boolean | false | | no effect: files grow as they are written
remote.log.copy.disable | boolean | false | | no effect without tiered storage
remote.log.delete.on.disable | boolean | false | | no effect without tiered storage
remote.storage.enable | boolean | false | | must be false: there is no tiered storage
retention.bytes | long | -1 | | size of a partition from which old segments go; -1 is none
retention.ms | long | 604800000 | >= -1 | age from which old segments go; -1 is none
segment.bytes | int | 1073741824 | >= 1048576 | size from which a new segment is begun
segment.index.bytes | int | 10485760 | >= 4 | size of an index from which a new segment is begun
segment.jitter.ms | long | 0 | >= 0 | no effect: segments are begun when due
segment.ms | long | 604800000 | >= 1 | age from which a new segment is begun
unclean.leader.election.enable | boolean | false | | no effect on a single broker
""")

# The broker's settings that are defaults of topic configs (Kafka: ServerTopicConfigSynonyms), where more than a prefix
# is different. Of several, an earlier one wins.
_RENAMED: Final[dict[str, tuple[str, ...]]] = {
    "delete.retention.ms": ("log.cleaner.delete.retention.ms",),
    "file.delete.delay.ms": ("log.segment.delete.delay.ms",),
    "flush.messages": ("log.flush.interval.messages",),
    "flush.ms": ("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
    "max.compaction.lag.ms": ("log.cleaner.max.compaction.lag.ms",),
    "max.message.bytes": ("message.max.bytes",),
    "min.cleanable.dirty.ratio": ("log.cleaner.min.cleanable.ratio",),
    "min.compaction.lag.ms": ("log.cleaner.min.compaction.lag.ms",),
    "retention.ms": ("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
    "segment.index.bytes": ("log.index.size.max.bytes",),
    "segment.jitter.ms": ("log.roll.jitter.ms", "log.roll.jitter.hours"),
    "segment.ms": ("log.roll.ms", "log.roll.hours"),
}
_SAME_NAME: Final = ("compression.", "min.insync.", "unclean.")
_NO_BROKER_SETTING: Final = ("follower.", "leader.", "remote.")

BROKER_NAMES: Final[dict[str, tuple[str, ...]]] = {
    name: _RENAMED.get(name) or ((name if name.startswith(_SAME_NAME) else f"log.{name}"),)
    for name in TOPIC_CONFIGS
    if not name.startswith(_NO_BROKER_SETTING)
}

# Kafka's own back door for tests that need segments below a megabyte: taken and stored, and described to nobody.
_SMALL_SEGMENTS: Final = Definition("internal.segment.bytes", ConfigType.INT, None, None, "any segment.bytes")


def to_log_config(configs: Mapping[str, str]) -> LogConfig:
    """Check every config and give the log its part; what is not given has its default. Raises InvalidConfigError.

    >>> to_log_config({"retention.ms": "-1", "min.cleanable.dirty.ratio": "0.1"}).retention_ms
    -1
    >>> to_log_config({"retention.msec": "1000"})
    Traceback (most recent call last):
    ...
    broker_embedded.errors.InvalidConfigError: Unknown topic config name: retention.msec
    """
    values = check_topic_configs(configs)
    if _SMALL_SEGMENTS.name in values:
        values["segment.bytes"] = values.pop(_SMALL_SEGMENTS.name)
    known = _log_fields()
    settings = {known[name]: _as_log_value(value) for name, value in values.items() if name in known}
    return LogConfig(**settings)


def log_config(configs: Mapping[str, str], config: BrokerConfig) -> LogConfig:
    """The settings of a topic's logs: its own above the broker's defaults. Raises InvalidConfigError."""
    settings = to_log_config({**config.topic_defaults, **configs})
    return replace(settings, producer_id_expiration_ms=config.producer_id_expiration_ms)


def check_topic_configs(configs: Mapping[str, str]) -> dict[str, Any]:
    """The values of topic configs. Raises InvalidConfigError for an unknown name, or a value that is not valid."""
    for name in configs:
        if name not in TOPIC_CONFIGS and name != _SMALL_SEGMENTS.name:
            raise InvalidConfigError(f"Unknown topic config name: {name}")
    values: dict[str, Any] = {
        name: TOPIC_CONFIGS.get(name, _SMALL_SEGMENTS).parse(text) for name, text in configs.items()
    }
    _check_together(values)
    return values


def _check_together(values: Mapping[str, Any]) -> None:
    least, most = values.get("min.compaction.lag.ms", 0), values.get("max.compaction.lag.ms", 2**63 - 1)
    if least > most:
        raise InvalidConfigError(
            f"conflict topic config setting min.compaction.lag.ms ({least}) > max.compaction.lag.ms ({most})"
        )
    if values.get("remote.storage.enable"):
        raise InvalidConfigError(
            "Tiered Storage functionality is disabled in the broker. "
            "Topic cannot be configured with remote log storage."
        )


@cache
def _log_fields() -> dict[str, str]:
    """The fields of LogConfig by the names of their configs."""
    known = {field.name for field in fields(LogConfig)}
    return {name: name.replace(".", "_") for name in TOPIC_CONFIGS if name.replace(".", "_") in known}


def _as_log_value(value: Any) -> Any:
    return ",".join(value) if isinstance(value, list) else value
