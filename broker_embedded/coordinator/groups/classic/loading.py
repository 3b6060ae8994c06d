"""Classic groups from the records in `__consumer_offsets`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.coordinator.groups.classic.group import ClassicGroup
from broker_embedded.coordinator.groups.classic.records import decode_group_key, decode_group_value

if TYPE_CHECKING:
    from broker_embedded.coordinator.groups.registry import Groups


def apply(groups: Groups, key_type: int, key: bytes, value: bytes) -> None:
    """Know the group that a record tells of. Raises UnknownRecordError for a version that cannot be read."""
    groups.add(ClassicGroup.from_value(groups.cluster, decode_group_key(key), decode_group_value(value)))
