"""Who a heartbeat is from, and what it changes about that member."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from broker_embedded.coordinator.groups.consumer.member import AWAY_EPOCH, JOINING_EPOCH, Member
from broker_embedded.coordinator.groups.consumer.requests import reported
from broker_embedded.coordinator.groups.consumer.state import State
from broker_embedded.coordinator.groups.group import host_of
from broker_embedded.errors import (
    FencedInstanceIdError,
    FencedMemberEpochError,
    GroupMaxSizeReachedError,
    UnknownMemberIdError,
    UnreleasedInstanceIdError,
)

if TYPE_CHECKING:
    from broker_embedded.session import RequestContext
    from broker_embedded.wire.messages.consumer_groups import ConsumerGroupHeartbeatRequest


def check_room(state: State, member_id: str, largest: int) -> None:
    if member_id not in state.members and len(state.members) >= largest:
        raise GroupMaxSizeReachedError(f"the group has {largest} members, as many as group.consumer.max.size allows")


def admit(state: State, member_id: str, request: ConsumerGroupHeartbeatRequest) -> Member:
    """The member as known so far; one that joins may be new, and then is not in `state` yet.

    A static member that was away takes the place of the one it was. Raises KafkaError for everybody else.
    """
    joins = request.member_epoch == JOINING_EPOCH
    if request.instance_id is not None:
        existing = state.static_member(request.instance_id)
        if joins and existing is not None:
            return _come_back(state, existing, member_id)
        if not joins:
            check_instance(existing, request.instance_id, member_id)
    member = state.members.get(member_id)
    if member is None:
        if not joins:
            raise UnknownMemberIdError(f"the group has no member {member_id!r}: join it with epoch 0")
        return Member(member_id)
    if not joins:
        _check_epoch(member, request)
    return member


def check_instance(existing: Member | None, instance_id: str, member_id: str) -> Member:
    """The static member `instance_id`, if it has that id. Raises UnknownMemberIdError, FencedInstanceIdError."""
    if existing is None:
        raise UnknownMemberIdError(f"the group has no member with instance id {instance_id!r}")
    if existing.member_id != member_id:
        raise FencedInstanceIdError(
            f"instance id {instance_id!r} is that of member {existing.member_id!r} now, not {member_id!r}: "
            "give each running member a group.instance.id of its own"
        )
    return existing


def _come_back(state: State, existing: Member, member_id: str) -> Member:
    if existing.classic is None and existing.epoch != AWAY_EPOCH:
        raise UnreleasedInstanceIdError(
            f"instance id {existing.instance_id!r} is in use by member {existing.member_id!r}: stop that one first, "
            "or wait for its session timeout"
        )
    return state.replace_member(existing.member_id, member_id)


def _check_epoch(member: Member, request: ConsumerGroupHeartbeatRequest) -> None:
    if request.member_epoch == member.epoch:
        return
    has = reported(request)
    if request.member_epoch == member.previous_epoch and has is not None and has <= member.assigned.keys():
        return  # the answer with the next epoch was lost
    raise FencedMemberEpochError(
        f"member {member.member_id!r} is at epoch {member.epoch}, not {request.member_epoch}: "
        "it must give up all its partitions and join again with epoch 0"
    )


def updated(member: Member, request: ConsumerGroupHeartbeatRequest, context: RequestContext) -> Member:
    """The member with what it says now; what it leaves out is as before."""
    names, regex = request.subscribed_topic_names, request.subscribed_topic_regex
    return replace(
        member,
        instance_id=member.instance_id if request.instance_id is None else request.instance_id,
        rack_id=member.rack_id if request.rack_id is None else request.rack_id,
        client_id=context.client_id,
        client_host=host_of(context),
        topics=member.topics if names is None else frozenset(names),
        regex=member.regex if regex is None else regex,
        rebalance_timeout_ms=(
            member.rebalance_timeout_ms if request.rebalance_timeout_ms == -1 else request.rebalance_timeout_ms
        ),
        assignor=member.assignor if request.server_assignor is None else request.server_assignor,
        classic=None,
    )
