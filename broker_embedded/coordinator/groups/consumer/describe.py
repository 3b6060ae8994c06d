"""What ConsumerGroupDescribe tells of a group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from broker_embedded.coordinator.groups.consumer.member import NOTHING, Member, Partition, by_topic
from broker_embedded.coordinator.groups.consumer.subscriptions import preferred_assignor
from broker_embedded.wire.messages.consumer_groups import (
    DescribedAssignment,
    DescribedGroup,
    DescribedMember,
    DescribedTopicPartitions,
)

if TYPE_CHECKING:
    from broker_embedded.coordinator.groups.consumer.group import ConsumerGroup

_CLASSIC, _CONSUMER = 0, 1


def describe(group: ConsumerGroup) -> DescribedGroup:
    state = group.data
    names = {topic.id: name for name, topic in group.cluster.topics.items()}
    return DescribedGroup(
        group.group_id,
        group_state=state.name,
        group_epoch=state.epoch,
        assignment_epoch=state.assignment_epoch,
        assignor_name=preferred_assignor(state),
        members=[_member(member, state.targets.get(id_, NOTHING), names) for id_, member in state.members.items()],
    )


def _member(member: Member, target: Iterable[Partition], names: Mapping[UUID, str]) -> DescribedMember:
    """What a member has to give up is still its own."""
    return DescribedMember(
        member.member_id,
        member.instance_id,
        member.rack_id,
        member.epoch,
        member.client_id,
        member.client_host,
        _assignment([*member.assigned, *member.revoking], names),
        _assignment(target, names),
        sorted(member.topics),
        member.regex,
        _CONSUMER if member.classic is None else _CLASSIC,
    )


def _assignment(partitions: Iterable[Partition], names: Mapping[UUID, str]) -> DescribedAssignment:
    rows = by_topic(partitions).items()
    return DescribedAssignment(
        [DescribedTopicPartitions(topic, names[topic], indexes) for topic, indexes in rows if topic in names]
    )
