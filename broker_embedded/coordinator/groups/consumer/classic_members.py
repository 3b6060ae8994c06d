"""Requests of members of a consumer group that speak the classic protocol (Kafka: classicGroupJoinToConsumerGroup).

To such a member its epoch is a generation, and every step towards its target a rebalance: its heartbeat tells it to
join again, JoinGroup says what it has, and SyncGroup brings what it may have now. Nobody leads, as the broker assigns.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from broker_embedded.coordinator.groups.classic.member import new_member_id, protocols_of, rebalance_timeout_of
from broker_embedded.coordinator.groups.consumer import admission, migration, progress
from broker_embedded.coordinator.groups.consumer.embedded_protocol import (
    MalformedError,
    Subscription,
    decode_subscription,
)
from broker_embedded.coordinator.groups.consumer.member import ClassicMember, Member, MemberState, Partitions
from broker_embedded.coordinator.groups.consumer.state import State
from broker_embedded.coordinator.groups.group import CONSUMER_PROTOCOL, host_of
from broker_embedded.errors import (
    IllegalGenerationError,
    InconsistentGroupProtocolError,
    KafkaError,
    MemberIdRequiredError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from broker_embedded.wire.messages.groups import (
    HeartbeatResponse,
    JoinGroupResponse,
    LeaveGroupResponse,
    MemberResponse,
    SyncGroupResponse,
)

if TYPE_CHECKING:
    from broker_embedded.coordinator.groups.consumer.group import ConsumerGroup
    from broker_embedded.session import RequestContext
    from broker_embedded.wire.messages.groups import (
        HeartbeatRequest,
        JoinGroupRequest,
        LeaveGroupRequest,
        MemberIdentity,
        SyncGroupRequest,
    )

_ID_REQUIRED_SINCE = 4


# JoinGroup


def join(group: ConsumerGroup, request: JoinGroupRequest, context: RequestContext) -> JoinGroupResponse:
    """Raises KafkaError."""
    if migration.policy(group.cluster) == "disabled":
        raise InconsistentGroupProtocolError(
            f"group {group.group_id!r} is a consumer group, and group.consumer.migration.policy is disabled: "
            "set group.protocol=consumer"
        )
    state = group.data.copy()
    is_unknown = not request.member_id
    member_id = request.member_id or new_member_id(context.client_id, request.group_instance_id)
    admission.check_room(state, member_id, group.cluster.config.group_consumer_max_size)
    subscription = _subscription(group, request)
    if is_unknown and request.group_instance_id is None and context.api_version >= _ID_REQUIRED_SINCE:
        return JoinGroupResponse(MemberIdRequiredError.info.code, member_id=member_id)
    before = _admit(state, member_id, request, is_unknown)
    now = _updated(before, request, context, subscription)
    has_new_subscription = progress.take_in(group, state, before, now, context)
    has = migration.with_ids(group.cluster, subscription.owned)
    if migration.may_downgrade(group.cluster, state):
        now = _downgrade(group, state, now, has, has_new_subscription)
    else:
        progress.assign_if_due(group, state)
        now = progress.step(group, state, now, has, has_new_subscription)
        group.put(state)
        group.heard_of(now)
        group.forget_deadlines([now.member_id], "join")
        group.owes(now, "sync")
    return JoinGroupResponse(0, now.epoch, CONSUMER_PROTOCOL, request.protocols[0].name, member_id=now.member_id)


def _subscription(group: ConsumerGroup, request: JoinGroupRequest) -> Subscription:
    classic = [member.classic for member in group.data.members.values() if member.classic is not None]
    known = Counter(name for member in classic for name, _ in member.protocols)
    is_known = any(known[row.name] == len(classic) for row in request.protocols)
    if request.protocol_type != CONSUMER_PROTOCOL or not is_known:
        names = ", ".join(row.name for row in request.protocols)
        raise InconsistentGroupProtocolError(
            f"group {group.group_id!r} is one of consumers that know {', '.join(sorted(known)) or 'any assignor'}; "
            f"the member is of type {request.protocol_type!r} and knows {names}"
        )
    try:
        return decode_subscription(bytes(request.protocols[0].metadata))
    except MalformedError as error:
        raise InconsistentGroupProtocolError(str(error)) from error


def _admit(state: State, member_id: str, request: JoinGroupRequest, is_unknown: bool) -> Member:
    if request.group_instance_id is None:
        return state.members.get(member_id, Member(member_id))
    existing = state.static_member(request.group_instance_id)
    if not is_unknown:
        return admission.check_instance(existing, request.group_instance_id, member_id)
    return Member(member_id) if existing is None else state.replace_member(existing.member_id, member_id)


def _updated(before: Member, request: JoinGroupRequest, context: RequestContext, said: Subscription) -> Member:
    return replace(
        before,
        instance_id=before.instance_id if request.group_instance_id is None else request.group_instance_id,
        rack_id=before.rack_id if said.rack_id is None else said.rack_id,
        rebalance_timeout_ms=rebalance_timeout_of(request),
        topics=said.topics,
        regex="",  # they have none
        client_id=context.client_id,
        client_host=host_of(context),
        classic=ClassicMember(request.session_timeout_ms, protocols_of(request)),
    )


def _downgrade(
    group: ConsumerGroup, state: State, member: Member, has: Partitions, has_new_subscription: bool
) -> Member:
    """The member has taken the place of the last one that spoke the other protocol."""
    is_behind = state.assignment_epoch < state.epoch
    if not is_behind:
        member = progress.step(group, state, member, has, has_new_subscription)
    migration.downgrade(group, state, "its targets were not up to date" if is_behind else None)
    return member


# SyncGroup and Heartbeat


def sync(group: ConsumerGroup, request: SyncGroupRequest) -> SyncGroupResponse:
    """Raises KafkaError."""
    member, classic = _member(group, request.member_id, request.group_instance_id, request.generation_id)
    name, metadata = classic.protocols[0]
    if (request.protocol_type or CONSUMER_PROTOCOL, request.protocol_name or name) != (CONSUMER_PROTOCOL, name):
        raise InconsistentGroupProtocolError(
            f"member {member.member_id!r} of group {group.group_id!r} was told the protocol {name!r} of type "
            f"{CONSUMER_PROTOCOL!r}, not {request.protocol_name!r} of type {request.protocol_type!r}"
        )
    if group.data.assignment_epoch > member.epoch and member.state is not MemberState.UNREVOKED_PARTITIONS:
        group.owes(member, "join")
        raise RebalanceInProgressError(f"group {group.group_id!r} has new targets: join again")
    group.forget_deadlines([member.member_id], "sync")
    group.heard_of(member)
    assignment = migration.assignment_bytes(group.cluster, metadata, frozenset(member.assigned))
    return SyncGroupResponse(0, request.protocol_type, request.protocol_name, assignment)


def heartbeat(group: ConsumerGroup, request: HeartbeatRequest) -> HeartbeatResponse:
    """Raises KafkaError."""
    member, _ = _member(group, request.member_id, request.group_instance_id, request.generation_id)
    group.heard_of(member)
    is_behind = member.epoch < group.data.assignment_epoch
    has_to_revoke = member.state is MemberState.UNREVOKED_PARTITIONS
    if (
        is_behind
        or has_to_revoke
        or (member.state is MemberState.UNRELEASED_PARTITIONS and _can_get_more(group, member))
    ):
        group.owes(member, "join")
        raise RebalanceInProgressError(f"group {group.group_id!r} has something else for the member: join again")
    return HeartbeatResponse()


def _can_get_more(group: ConsumerGroup, member: Member) -> bool:
    """Whether all it waits for is free."""
    missing = group.data.targets.get(member.member_id, frozenset()) - member.assigned.keys()
    return missing.isdisjoint(group.data.owned())


def _member(
    group: ConsumerGroup, member_id: str, instance_id: str | None, generation: int
) -> tuple[Member, ClassicMember]:
    member = group.find(member_id, instance_id)
    if member.classic is None:
        raise UnknownMemberIdError(
            f"member {member_id!r} of group {group.group_id!r} does not speak the classic protocol"
        )
    if member.epoch != generation:
        raise IllegalGenerationError(
            f"member {member_id!r} is at generation {member.epoch}, not {generation}: join again"
        )
    return member, member.classic


# LeaveGroup


def leave(group: ConsumerGroup, request: LeaveGroupRequest) -> LeaveGroupResponse:
    """Members of either protocol: an admin sends them away like this. Raises KafkaStorageError."""
    response = LeaveGroupResponse()
    gone = []
    for row in request.members:
        code = 0
        try:
            gone.append(_leaving(group, row).member_id)
        except KafkaError as error:
            code = error.code
        response.members.append(MemberResponse(row.member_id, row.group_instance_id, code))
    if gone:
        group.remove(dict.fromkeys(gone), "LeaveGroup says so")
    return response


def _leaving(group: ConsumerGroup, row: MemberIdentity) -> Member:
    existing = group.data.static_member(row.group_instance_id) if row.group_instance_id is not None else None
    if existing is not None and not row.member_id:
        return existing  # sent away by its instance id
    return group.find(row.member_id, row.group_instance_id)
