"""Configs of single groups (KIP-848, KIP-932, KIP-1071): definitions, bounds, and what is in force for a group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from broker_embedded.configs.broker_table import BROKER_CONFIGS
from broker_embedded.configs.definitions import ConfigType, Definition, read_table
from broker_embedded.errors import InvalidConfigError

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

_OFFSET_RESET_FORM: Final = (
    "The value must be either 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
)

_TABLE: Final = read_table("""
consumer.assignment.interval.ms | int | 1000 | >= 0 | time between assignments of a consumer group
consumer.heartbeat.interval.ms | int | 5000 | >= 1 | how often members of a consumer group are to be heard of
consumer.session.timeout.ms | int | 45000 | >= 1 | a member of a consumer group not heard of for so long is gone
share.assignment.interval.ms | int | 1000 | >= 0 | time between assignments of a share group
share.delivery.count.limit | int | 5 | >= 2 | how often a share group delivers a record
share.heartbeat.interval.ms | int | 5000 | >= 1 | how often members of a share group are to be heard of
share.isolation.level | string | read_uncommitted | one of read_committed, read_uncommitted | what a share group reads
share.partition.max.record.locks | int | 2000 | >= 100 | records of a partition locked at a time, at most
share.record.lock.duration.ms | int | 30000 | >= 1000 | how long a delivered record is locked
share.renew.acknowledge.enable | boolean | true | | whether a share group's consumers may renew their locks
share.session.timeout.ms | int | 45000 | >= 1 | a member of a share group not heard of for so long is gone
streams.assignment.interval.ms | int | 1000 | >= 0 | time between assignments of a streams group
streams.heartbeat.interval.ms | int | 5000 | >= 1 | how often members of a streams group are to be heard of
streams.initial.rebalance.delay.ms | int | 3000 | >= 0 | how long a new streams group waits for more members
streams.num.standby.replicas | int | 0 | >= 0 | standbys of each task of a streams group
streams.session.timeout.ms | int | 45000 | >= 1 | a member of a streams group not heard of for so long is gone
""")


def _offset_reset(name: str, value: Any) -> None:
    if value not in ("earliest", "latest") and not value.startswith("by_duration:P"):
        raise InvalidConfigError(
            f"Invalid value {value} for configuration {name}: "
            f"Invalid value `{value}` for configuration {name}. {_OFFSET_RESET_FORM}"
        )


_RESET: Final = Definition(
    "share.auto.offset.reset", ConfigType.STRING, "latest", _offset_reset, "where a share group begins to read"
)
GROUP_CONFIGS: Final[dict[str, Definition]] = _TABLE | {_RESET.name: _RESET}

_WITHOUT_BROKER_NAME: Final = (_RESET.name, "share.isolation.level", "share.renew.acknowledge.enable")
BROKER_NAMES: Final = {name: f"group.{name}" for name in GROUP_CONFIGS if name not in _WITHOUT_BROKER_NAME}
"""The broker's setting that is the default of a group's config."""

# Bounds for a group's config: the broker's setting that has `min.` or `max.` before the last part of the name.
_BOUNDED: Final = (
    "consumer.heartbeat.interval.ms",
    "consumer.session.timeout.ms",
    "consumer.assignment.interval.ms",
    "share.heartbeat.interval.ms",
    "share.session.timeout.ms",
    "share.record.lock.duration.ms",
    "share.delivery.count.limit",
    "share.partition.max.record.locks",
    "share.assignment.interval.ms",
    "streams.heartbeat.interval.ms",
    "streams.session.timeout.ms",
    "streams.num.standby.replicas",
    "streams.assignment.interval.ms",
)
_KINDS: Final = ("consumer", "share", "streams")


def group_value(cluster: Cluster, group: str, name: str) -> Any:
    """What is in force for a group: its own config, else the broker's setting. An int for all that end in `.ms`."""
    text = cluster.metadata.group_configs(group).get(name)
    return GROUP_CONFIGS[name].parse(broker_text(cluster, name) if text is None else text)


def broker_text(cluster: Cluster, name: str) -> str:
    """What the broker has as default of a group's config."""
    broker_name = BROKER_NAMES.get(name)
    if broker_name is None:
        return GROUP_CONFIGS[name].default or ""
    return _setting(cluster, broker_name)


def _setting(cluster: Cluster, name: str) -> str:
    value = getattr(cluster.config, name.replace(".", "_"), None)
    if value is None:
        value = cluster.config.properties.get(name, BROKER_CONFIGS[name].default)
    return str(value)


def check_group_configs(cluster: Cluster, configs: Mapping[str, str]) -> None:
    """Raise InvalidConfigError with Kafka's message (GroupConfig.validate)."""
    for name in configs:
        if name not in GROUP_CONFIGS:
            raise InvalidConfigError(f"Unknown group config name: {name}")
    values: dict[str, Any] = {
        name: known.parse(configs.get(name, broker_text(cluster, name))) for name, known in GROUP_CONFIGS.items()
    }
    for name in _BOUNDED:
        if name in configs:
            _check_bounds(cluster, name, values[name])
    for kind in _KINDS:
        session, heartbeat = f"{kind}.session.timeout.ms", f"{kind}.heartbeat.interval.ms"
        if values[session] <= values[heartbeat]:
            raise InvalidConfigError(f"{session} must be greater than {heartbeat}")


def _check_bounds(cluster: Cluster, name: str, value: Any) -> None:
    kind, _, rest = name.partition(".")
    least, most = f"group.{kind}.min.{rest}", f"group.{kind}.max.{rest.removeprefix('num.')}"
    if least in BROKER_CONFIGS and value < int(_setting(cluster, least)):
        raise InvalidConfigError(f"{name} must be greater than or equal to {least}")
    if value > int(_setting(cluster, most)):
        raise InvalidConfigError(f"{name} must be less than or equal to {most}")
