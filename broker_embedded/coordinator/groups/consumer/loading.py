"""Consumer groups from the records in `__consumer_offsets`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.coordinator.groups.consumer.group import ConsumerGroup
from broker_embedded.coordinator.groups.consumer.records import decode_key, replay

if TYPE_CHECKING:
    from broker_embedded.coordinator.groups.registry import Groups


def apply(groups: Groups, key_type: int, key: bytes, value: bytes) -> None:
    """Know what a record tells of its group. Raises UnknownRecordError for a version that cannot be read."""
    decoded = decode_key(key)
    group = groups.by_id.get(decoded.group_id)
    if not isinstance(group, ConsumerGroup):
        group = groups.add(ConsumerGroup(groups.cluster, decoded.group_id))
    replay(group.data, decoded, value)
