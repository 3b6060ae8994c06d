"""Settings of the broker, by Kafka's names in snake case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """What Kafka keeps in `server.properties`, with its defaults unless a comment says otherwise.

    `topic_defaults` are topic configs by Kafka's dotted names (`retention.ms`), for topics that do not set them.

    >>> BrokerConfig(num_partitions=4).sync_on_commit
    False
    """

    auto_create_topics: bool = False  # Kafka: true. A misspelt topic is an error here, not a new topic.
    num_partitions: int = 1
    topic_defaults: Mapping[str, str] = field(default_factory=dict)
    transaction_max_timeout_ms: int = 900_000
    transactional_id_expiration_ms: int = 604_800_000
    offsets_topic_num_partitions: int = 1  # Kafka: 50, to spread them over brokers
    transaction_state_num_partitions: int = 1  # Kafka: 50
    node_id: int = 1
    sync_on_commit: bool = False
    """Ours, `flush.on.commit`: a commit is answered when its data, its offsets and its outcome are on disk."""
