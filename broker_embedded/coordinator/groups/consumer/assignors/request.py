"""What an assignor is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from broker_embedded.coordinator.groups.consumer.member import NOTHING, Partitions


class Reader(NamedTuple):
    """A member: what it reads, and its last target."""

    topics: frozenset[UUID]
    target: Partitions = NOTHING
    instance_id: str | None = None


class AssignmentRequest(NamedTuple):
    """`readers` by member id; `partition_counts` of at least the topics they read."""

    readers: Mapping[str, Reader]
    partition_counts: Mapping[UUID, int]

    def topics(self) -> list[UUID]:
        """All that is read, in order."""
        return sorted({topic for reader in self.readers.values() for topic in reader.topics})
