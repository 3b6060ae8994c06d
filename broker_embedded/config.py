"""Settings of the broker, by Kafka's names in snake case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """What Kafka keeps in `server.properties`, with its defaults unless a comment says otherwise.

    `topic_defaults` are topic configs by Kafka's dotted names (`retention.ms`), for topics that do not set them.

    What a client sets while the broker runs is in `cluster.config` as soon as it is set: read that where it is needed,
    and do not keep it.

    >>> BrokerConfig(num_partitions=4).sync_on_commit
    False
    """

    auto_create_topics: bool = False  # Kafka: true. A misspelt topic is an error here, not a new topic.
    delete_topic_enable: bool = True
    num_partitions: int = 1
    default_replication_factor: int = 1
    max_replication_factor: int = 1
    """Ours, `max.replication.factor`: replicas that may be asked for. A topic has one all the same."""
    max_request_partition_size_limit: int = 2000
    producer_id_expiration_ms: int = 86_400_000
    topic_defaults: Mapping[str, str] = field(default_factory=dict)
    transaction_max_timeout_ms: int = 900_000
    transactional_id_expiration_ms: int = 604_800_000
    offsets_topic_num_partitions: int = 1  # Kafka: 50, to spread them over brokers
    transaction_state_num_partitions: int = 1  # Kafka: 50
    offsets_topic_segment_bytes: int = 104_857_600
    transaction_state_log_segment_bytes: int = 104_857_600
    node_id: int = 1
    broker_rack: str | None = None
    socket_request_max_bytes: int = 104_857_600
    max_connections: int = 2_147_483_647
    max_connections_per_ip: int = 2_147_483_647
    connections_max_idle_ms: int = 600_000
    offset_metadata_max_bytes: int = 4096
    offsets_retention_minutes: int = 10_080
    offsets_retention_check_interval_ms: int = 600_000
    log_retention_check_interval_ms: int = 300_000
    log_initial_task_delay_ms: int = 30_000
    group_min_session_timeout_ms: int = 6_000
    group_max_session_timeout_ms: int = 1_800_000
    group_initial_rebalance_delay_ms: int = 3_000
    group_max_size: int = 2_147_483_647
    group_consumer_session_timeout_ms: int = 45_000
    group_consumer_min_session_timeout_ms: int = 45_000
    group_consumer_max_session_timeout_ms: int = 60_000
    group_consumer_heartbeat_interval_ms: int = 5_000
    group_consumer_min_heartbeat_interval_ms: int = 5_000
    group_consumer_max_heartbeat_interval_ms: int = 15_000
    group_consumer_assignment_interval_ms: int = 1_000
    group_consumer_max_size: int = 2_147_483_647
    group_consumer_assignors: tuple[str, ...] = ("uniform", "range")
    group_consumer_migration_policy: str = "bidirectional"
    log_cleaner_enable: bool = True
    log_cleaner_backoff_ms: int = 15_000
    log_cleaner_dedupe_buffer_size: int = 134_217_728
    sync_on_commit: bool = False
    """Ours, `flush.on.commit`: a commit is answered when its data, its offsets and its outcome are on disk."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """What `from_properties` was given."""

    @classmethod
    def from_properties(cls, properties: Mapping[str, str]) -> BrokerConfig:
        """From settings by Kafka's names, as in a `server.properties`; what is not given is as in `BrokerConfig()`.

        Settings of Kafka that say how to do what a single process does not do (replication, thread pools) are taken and
        have no effect. Raises InvalidConfigError for an unknown name, or a value that is not valid.

        >>> BrokerConfig.from_properties({"num.partitions": "3", "log.retention.hours": "1"}).num_partitions
        3
        >>> BrokerConfig.from_properties({"node.idd": "3"})
        Traceback (most recent call last):
        ...
        broker_embedded.errors.InvalidConfigError: node.idd is not a setting of the broker; did you mean node.id?
        """
        from broker_embedded.configs.broker import read_properties  # the table of all settings takes its time

        return read_properties(properties)
