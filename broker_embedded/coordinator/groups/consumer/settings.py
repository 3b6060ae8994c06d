"""Settings of one group: its own, or else the broker's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from broker_embedded.configs.groups import group_value

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


class Settings(NamedTuple):
    """`consumer.<name>` of a group, `group.consumer.<name>` of the broker."""

    session_timeout_ms: int
    heartbeat_interval_ms: int
    assignment_interval_ms: int


def settings_of(cluster: Cluster, group_id: str) -> Settings:
    names = (name.replace("_", ".") for name in Settings._fields)
    return Settings(*(group_value(cluster, group_id, f"consumer.{name}") for name in names))
