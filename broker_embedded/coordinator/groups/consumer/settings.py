"""Settings of one group: its own (Kafka: GroupConfig), or else the broker's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster


class Settings(NamedTuple):
    """`consumer.<name>` for a group, `group.consumer.<name>` for the broker."""

    session_timeout_ms: int
    heartbeat_interval_ms: int
    assignment_interval_ms: int


def settings_of(cluster: Cluster, group_id: str) -> Settings:
    config = cluster.config
    return Settings(
        config.group_consumer_session_timeout_ms,
        config.group_consumer_heartbeat_interval_ms,
        config.group_consumer_assignment_interval_ms,
    )
