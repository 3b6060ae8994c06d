"""`range`: a stretch of each topic's partitions per reader (Kafka: RangeAssignor).

Stretches go to readers in one order for all topics, so topics with the same readers and as many partitions are
co-partitioned: who has partition 3 of one has partition 3 of the other. Static members come first, by their instance
id, so that they get the same after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping

from broker_embedded.coordinator.groups.consumer.assignors.request import AssignmentRequest
from broker_embedded.coordinator.groups.consumer.member import Partition, Partitions


def assign_ranges(request: AssignmentRequest) -> Mapping[str, Partitions]:
    """
    >>> from uuid import UUID
    >>> from broker_embedded.coordinator.groups.consumer.assignors.request import Reader
    >>> topic = UUID(int=1)
    >>> readers = {name: Reader(frozenset({topic})) for name in "ab"}
    >>> found = assign_ranges(AssignmentRequest(readers, {topic: 3}))
    >>> {name: sorted(index for _, index in partitions) for name, partitions in found.items()}
    {'a': [0, 1], 'b': [2]}
    """

    def order(member_id: str) -> tuple[bool, str]:
        instance_id = request.readers[member_id].instance_id
        return (True, member_id) if instance_id is None else (False, instance_id)

    assigned: dict[str, set[Partition]] = {member_id: set() for member_id in sorted(request.readers, key=order)}
    for topic in request.topics():
        readers = [member_id for member_id in assigned if topic in request.readers[member_id].topics]
        size, larger = divmod(request.partition_counts[topic], len(readers))
        start = 0
        for position, member_id in enumerate(readers):
            end = start + size + (position < larger)
            assigned[member_id] |= {(topic, index) for index in range(start, end)}
            start = end
    return {member_id: frozenset(partitions) for member_id, partitions in assigned.items()}
