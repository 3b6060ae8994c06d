"""Kafka's topic configs as a table: names, types, defaults, and what each means.

The log reads the ones it needs through `LogConfig`; this table is for those who ask (DescribeConfigs) and for checking
the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

from broker_embedded.errors import InvalidConfigError
from broker_embedded.log.config import LogConfig


class ConfigType(IntEnum):
    """As in DescribeConfigs."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    LONG = 5
    DOUBLE = 6
    LIST = 7


class ConfigSource(IntEnum):
    """Where a value comes from, as in DescribeConfigs."""

    TOPIC = 1
    BROKER = 4
    DEFAULT = 5


class TopicConfig(NamedTuple):
    type: ConfigType
    default: str
    documentation: str


_LARGEST: Final = str(2**63 - 1)
_DAY, _WEEK = "86400000", "604800000"
_BOOLEAN, _STRING, _INT, _LONG, _DOUBLE, _LIST = ConfigType

_ROWS: Final[tuple[tuple[str, ConfigType, str, str], ...]] = (
    ("cleanup.policy", _LIST, "delete", "what happens to old data: delete, compact, or both"),
    ("compression.gzip.level", _INT, "-1", "gzip level, if the broker compresses"),
    ("compression.lz4.level", _INT, "9", "lz4 level, if the broker compresses"),
    ("compression.type", _STRING, "producer", "codec of batches on disk; producer keeps them as they come"),
    ("compression.zstd.level", _INT, "3", "zstd level, if the broker compresses"),
    ("delete.retention.ms", _LONG, _DAY, "how long tombstones stay in a compacted topic"),
    ("file.delete.delay.ms", _LONG, "60000", "time between a segment's removal and that of its files"),
    ("flush.messages", _LONG, _LARGEST, "sync after so many records"),
    ("flush.ms", _LONG, _LARGEST, "sync after so much time"),
    ("follower.replication.throttled.replicas", _LIST, "", "no effect on a single broker"),
    ("index.interval.bytes", _INT, "4096", "bytes of log per entry of an index"),
    ("leader.replication.throttled.replicas", _LIST, "", "no effect on a single broker"),
    ("local.retention.bytes", _LONG, "-2", "no effect without tiered storage"),
    ("local.retention.ms", _LONG, "-2", "no effect without tiered storage"),
    ("max.compaction.lag.ms", _LONG, _LARGEST, "a record is compacted at the latest after this time"),
    ("max.message.bytes", _INT, "1048588", "largest batch, as compressed"),
    ("message.timestamp.after.max.ms", _LONG, "3600000", "how far a timestamp may be ahead of the broker's clock"),
    ("message.timestamp.before.max.ms", _LONG, _LARGEST, "how far a timestamp may be behind the broker's clock"),
    ("message.timestamp.type", _STRING, "CreateTime", "CreateTime keeps the producer's time, LogAppendTime sets ours"),
    ("min.cleanable.dirty.ratio", _DOUBLE, "0.5", "share of uncompacted bytes from which a log is compacted"),
    ("min.compaction.lag.ms", _LONG, "0", "a record stays uncompacted at least this long"),
    ("min.insync.replicas", _INT, "1", "no effect on a single broker"),
    ("preallocate", _BOOLEAN, "false", "no effect: files grow as they are written"),
    ("remote.log.copy.disable", _BOOLEAN, "false", "no effect without tiered storage"),
    ("remote.log.delete.on.disable", _BOOLEAN, "false", "no effect without tiered storage"),
    ("remote.storage.enable", _BOOLEAN, "false", "no effect: there is no tiered storage"),
    ("retention.bytes", _LONG, "-1", "size of a partition from which old segments go; -1 is none"),
    ("retention.ms", _LONG, _WEEK, "age from which old segments go; -1 is none"),
    ("segment.bytes", _INT, "1073741824", "size from which a new segment is begun"),
    ("segment.index.bytes", _INT, "10485760", "size of an index from which a new segment is begun"),
    ("segment.jitter.ms", _LONG, "0", "no effect: segments are begun when due"),
    ("segment.ms", _LONG, _WEEK, "age from which a new segment is begun"),
    ("unclean.leader.election.enable", _BOOLEAN, "false", "no effect on a single broker"),
)

TOPIC_CONFIGS: Final = {name: TopicConfig(kind, default, text) for name, kind, default, text in _ROWS}


class Layered(NamedTuple):
    """A config of a topic with all its values, the one in force first."""

    name: str
    config: TopicConfig
    values: list[tuple[str, ConfigSource]]


def layered(configs: Mapping[str, str], broker_defaults: Mapping[str, str]) -> list[Layered]:
    """Every config: as set on the topic, as the broker has it for all topics, and as it is by default.

    >>> layered({"cleanup.policy": "compact"}, {})[0].values
    [('compact', <ConfigSource.TOPIC: 1>), ('delete', <ConfigSource.DEFAULT: 5>)]
    """
    rows = []
    for name, config in TOPIC_CONFIGS.items():
        values = [
            (layer[name], source)
            for layer, source in ((configs, ConfigSource.TOPIC), (broker_defaults, ConfigSource.BROKER))
            if name in layer
        ]
        rows.append(Layered(name, config, [*values, (config.default, ConfigSource.DEFAULT)]))
    return rows


def to_log_config(configs: Mapping[str, str]) -> LogConfig:
    """Check every value and give the log its part. Raises InvalidConfigError.

    >>> to_log_config({"retention.ms": "-1", "min.cleanable.dirty.ratio": "0.1"}).retention_ms
    -1
    >>> to_log_config({"preallocate": "perhaps"})
    Traceback (most recent call last):
    ...
    broker_embedded.errors.InvalidConfigError: preallocate='perhaps' is not true or false
    """
    config = LogConfig.from_configs(configs)
    for name, text in configs.items():
        _check(name, text)
    return config


def _check(name: str, text: str) -> None:
    match TOPIC_CONFIGS[name].type:
        case ConfigType.BOOLEAN if text.lower() not in ("true", "false"):
            raise InvalidConfigError(f"{name}={text!r} is not true or false")
        case ConfigType.INT | ConfigType.LONG if not text.strip().lstrip("+-").isdigit():
            raise InvalidConfigError(f"{name}={text!r} is not a whole number")
        case ConfigType.DOUBLE:
            try:
                float(text)
            except ValueError:
                raise InvalidConfigError(f"{name}={text!r} is not a number") from None
        case _:
            pass
