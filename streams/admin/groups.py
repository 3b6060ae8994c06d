"""Groups: list, describe, their offsets and lag, reset and delete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from broker_embedded.errors import (
    GroupIdNotFoundError,
    IllegalGenerationError,
    RebalanceInProgressError,
    StaleMemberEpochError,
    UnknownMemberIdError,
)
from broker_embedded.wire.messages.consumer_groups import ConsumerGroupDescribeRequest
from broker_embedded.wire.messages.groups import (
    DeleteGroupsRequest,
    DescribeGroupsRequest,
    ListGroupsRequest,
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
)
from streams.admin.descriptions import GroupDescription, GroupListing, GroupOffset, MemberDescription
from streams.transport.contract import Asks, Committed, GroupIdentity, TopicPartition, Transport, TransportError
from streams.transport.error_codes import check
from streams.transport.group.protocol import PROTOCOL_TYPE, decode_assignment
from streams.transport.rows import by_partition, by_topic, offset_commit

_NAMES_LAST = 9  # OffsetCommit and OffsetFetch have names up to here
_HAS_MEMBERS = (
    UnknownMemberIdError.info.code,
    IllegalGenerationError.info.code,
    RebalanceInProgressError.info.code,
    StaleMemberEpochError.info.code,
)
"""What a commit from outside is answered while there are members."""


class UnknownGroupError(TransportError):
    """There is no such group."""


async def list_groups(asks: Asks, *, states: Sequence[str], kinds: Sequence[str]) -> list[GroupListing]:
    found = []
    for node in await asks.nodes():
        answer = await asks.ask_node(ListGroupsRequest(list(states), list(kinds)), node)
        check(answer.error_code, "groups")
        found += [
            GroupListing(row.group_id, row.group_type or "classic", row.group_state, row.protocol_type)
            for row in answer.groups
        ]
    return sorted(found, key=lambda listing: listing.group_id)


async def describe_group(asks: Asks, group: str) -> GroupDescription:
    """A group of either protocol. Raises UnknownGroupError."""
    coordinator = await asks.coordinator(group)
    answer = await asks.ask_coordinator(ConsumerGroupDescribeRequest([group]), group)
    (row,) = answer.groups
    if row.error_code == 0:
        members = [_member(member, _consumer_partitions(member)) for member in row.members]
        return GroupDescription(group, "consumer", row.group_state, row.assignor_name, coordinator, members)
    if row.error_code != GroupIdNotFoundError.info.code:
        check(row.error_code, f"group {group!r}", row.error_message)
    return await _describe_classic(asks, group, coordinator)


async def _describe_classic(asks: Asks, group: str, coordinator: int) -> GroupDescription:
    (row,) = (await asks.ask_coordinator(DescribeGroupsRequest([group]), group)).groups
    if row.error_code != GroupIdNotFoundError.info.code:
        check(row.error_code, f"group {group!r}", row.error_message)
    if row.error_code or row.group_state == "Dead":
        raise UnknownGroupError(f"there is no group {group!r}")
    is_consumer = row.protocol_type == PROTOCOL_TYPE  # of others nobody knows what their bytes mean
    members = [
        _member(member, decode_assignment(bytes(member.member_assignment)).partitions if is_consumer else [])
        for member in row.members
    ]
    return GroupDescription(group, "classic", row.group_state, row.protocol_data, coordinator, members)


def _member(member: Any, partitions: Sequence[TopicPartition]) -> MemberDescription:
    instance = getattr(member, "instance_id", None) or getattr(member, "group_instance_id", None)
    return MemberDescription(member.member_id, instance, member.client_id, member.client_host, partitions)


def _consumer_partitions(member: Any) -> list[TopicPartition]:
    return [
        TopicPartition(row.topic_name, index) for row in member.assignment.topic_partitions for index in row.partitions
    ]


async def group_offsets(asks: Asks, transport: Transport, group: str) -> list[GroupOffset]:
    """Where a group is in every partition it has committed for."""
    request = OffsetFetchRequest([OffsetFetchRequestGroup(group)])
    (row,) = (await asks.ask_coordinator(request, group, last_version=_NAMES_LAST)).groups
    check(row.error_code, f"group {group!r}")
    committed = {}
    for tp, part in by_partition(row.topics):
        check(part.error_code, f"group {group!r}, {tp}")
        committed[tp] = part
    known = await transport.describe({tp.topic for tp in committed})
    tps = sorted(tp for tp in committed if tp.topic in known)
    ends = await transport.latest(tps, "read_uncommitted")
    return [_offset(tp, committed[tp], ends[tp]) for tp in tps]


def _offset(tp: TopicPartition, part: Any, end: int) -> GroupOffset:
    if part.committed_offset < 0:
        return GroupOffset(tp, None, end, None)
    return GroupOffset(tp, part.committed_offset, end, max(0, end - part.committed_offset), part.metadata or "")


async def set_offsets(asks: Asks, group: str, offsets: Mapping[TopicPartition, int]) -> None:
    """Move a group. Raises TransportError while it has members: they would write their own over it."""
    request = offset_commit(GroupIdentity(group), {tp: Committed(offset) for tp, offset in offsets.items()})
    answer = await asks.ask_coordinator(request, group, last_version=_NAMES_LAST)
    for tp, part in by_partition(answer.topics):
        if part.error_code in _HAS_MEMBERS:
            raise TransportError(
                f"group {group!r} has members, which would write their own offsets over yours: stop them first"
            )
        check(part.error_code, f"group {group!r}, {tp}")


async def delete_offsets(asks: Asks, group: str, tps: Iterable[TopicPartition]) -> None:
    topics = [
        OffsetDeleteRequestTopic(name, [OffsetDeleteRequestPartition(index) for index in indexes])
        for name, indexes in by_topic(tps).items()
    ]
    answer = await asks.ask_coordinator(OffsetDeleteRequest(group, topics), group)
    check(answer.error_code, f"group {group!r}")
    for tp, part in by_partition(answer.topics):
        check(part.error_code, f"group {group!r}, {tp}")


async def delete_groups(asks: Asks, groups: Sequence[str]) -> None:
    for group in groups:
        for result in (await asks.ask_coordinator(DeleteGroupsRequest([group]), group)).results:
            check(result.error_code, f"group {result.group_id!r}")
