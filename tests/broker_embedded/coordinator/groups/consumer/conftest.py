"""A broker with topics a, b, ... and a client that sends heartbeats in short calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest

from broker_embedded.cluster import Cluster
from broker_embedded.coordinator.groups.consumer.group import ConsumerGroup
from broker_embedded.coordinator.groups.consumer.heartbeat import answer
from broker_embedded.errors import KafkaError
from broker_embedded.handlers import RequestContext
from broker_embedded.topics import Topic
from broker_embedded.wire.messages.consumer_groups import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    HeartbeatTopicPartitions,
)

Partitions = set[tuple[str, int]]


@dataclass
class Coordinator:
    """Names of topics instead of ids, and sets of partitions."""

    cluster: Cluster
    clock: Any

    def create(self, **counts: int) -> None:
        self.cluster.add_topics([Topic(name, uuid4(), count) for name, count in counts.items()])

    def id_of(self, topic: str) -> UUID:
        return self.cluster.topics[topic].id

    def group(self, group_id: str = "g") -> ConsumerGroup:
        found = self.cluster.groups.by_id[group_id]
        assert isinstance(found, ConsumerGroup)
        return found

    def send(self, member_id: str, epoch: int, *, has: Partitions | None = None, **fields: Any) -> Any:
        """Raises KafkaError."""
        if "topics" in fields:
            fields["subscribed_topic_names"] = fields.pop("topics").split()
        if has is not None:
            rows: dict[str, list[int]] = {}
            for topic, index in sorted(has):
                rows.setdefault(topic, []).append(index)
            fields["topic_partitions"] = [
                HeartbeatTopicPartitions(self.id_of(topic), indexes) for topic, indexes in rows.items()
            ]
        group_id, version = fields.pop("group_id", "g"), fields.pop("version", 1)
        request = ConsumerGroupHeartbeatRequest(group_id, member_id, epoch, **fields)
        return answer(self.cluster, request, RequestContext(version, "client", in_process=True))

    def join(self, member_id: str, topics: str = "a", **fields: Any) -> Any:
        """Raises KafkaError."""
        return self.send(member_id, 0, topics=topics, has=set(), rebalance_timeout_ms=60_000, **fields)

    def code(self, member_id: str, epoch: int, **fields: Any) -> int:
        try:
            self.send(member_id, epoch, **fields)
        except KafkaError as error:
            return error.code
        return 0

    def assigned(self, response: ConsumerGroupHeartbeatResponse) -> Partitions | None:
        if response.assignment is None:
            return None
        names = {topic.id: name for name, topic in self.cluster.topics.items()}
        rows = response.assignment.topic_partitions
        return {(names.get(row.topic_id, "gone"), index) for row in rows for index in row.partitions}

    def wait(self, ms: int = 1_000) -> None:
        """Time goes on; a second is what lies between two assignments."""
        self.clock.now += ms
        self.cluster.tick()


@pytest.fixture
def coordinator_of() -> Callable[[Cluster, Any], Coordinator]:
    return Coordinator


@pytest.fixture
def coordinator(client: Any) -> Coordinator:
    found = Coordinator(client.cluster, client.clock)
    found.create(a=4, b=2)
    return found
