"""JoinGroup of a classic group: newcomers, members that come again, static members after a restart.

Kafka: GroupMetadataManager.classicGroupJoin. Rules: KIP-394 (a newcomer is given its id first), KIP-345 (static
members), KIP-814 (their leader keeps its assignments), KIP-800 (reasons).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from broker_embedded.coordinator.groups.classic import rebalance
from broker_embedded.coordinator.groups.classic.member import Member, new_member_id, protocols_of
from broker_embedded.coordinator.groups.classic.states import State
from broker_embedded.errors import (
    FencedInstanceIdError,
    GroupMaxSizeReachedError,
    InconsistentGroupProtocolError,
    InvalidRequestError,
    MemberIdRequiredError,
    UnknownMemberIdError,
)
from broker_embedded.wire.messages.groups import JoinGroupResponse

if TYPE_CHECKING:
    from broker_embedded.coordinator.groups.classic.group import ClassicGroup
    from broker_embedded.session import RequestContext
    from broker_embedded.wire.messages.groups import JoinGroupRequest

log = logging.getLogger(__name__)

_ID_REQUIRED_SINCE = 4
_SKIPS_ASSIGNMENT_SINCE = 9
_NEW_MEMBER_TIMEOUT_MS = 300_000  # a newcomer has no id to send heartbeats with, and may be gone long before

Answer = JoinGroupResponse | asyncio.Future[JoinGroupResponse]


async def join(group: ClassicGroup, request: JoinGroupRequest, context: RequestContext) -> JoinGroupResponse:
    """Answer a JoinGroup, when the generation begins that it leads to. Raises KafkaError.

    A caller that is cancelled, as its client has hung up, leaves the member waiting: its session ends it.
    """
    answer = _join(group, request, context)
    return answer if isinstance(answer, JoinGroupResponse) else await asyncio.shield(answer)


def _join(group: ClassicGroup, request: JoinGroupRequest, context: RequestContext) -> Answer:
    group.check_alive()
    if not _has_room(group, request.member_id):
        group.members.remove(request.member_id)
        return JoinGroupResponse(GroupMaxSizeReachedError.info.code)
    _check_protocols(group, request)
    if request.member_id:
        return _join_again(group, request, context)
    member_id = new_member_id(context.client_id, request.group_instance_id)
    if request.group_instance_id is not None:
        replaced = group.members.static.get(request.group_instance_id)
        if replaced is not None:
            return _join_in_place_of(group, replaced, member_id, request, context)
    elif context.api_version >= _ID_REQUIRED_SINCE:
        group.members.pending[member_id] = group.cluster.now_ms() + request.session_timeout_ms
        return JoinGroupResponse(MemberIdRequiredError.info.code, member_id=member_id)
    return _come_in(group, member_id, request, context)


def _has_room(group: ClassicGroup, member_id: str) -> bool:
    size = group.cluster.config.group_max_size
    if group.phase is State.EMPTY:
        return True
    if group.phase is State.PREPARING_REBALANCE:  # whoever comes first is in: more may have been members before
        is_waiting = member_id in group.members and group.members.find(member_id).joining is not None
        return is_waiting or group.members.joined_count < size
    return member_id in group.members or len(group.members) < size


def _check_protocols(group: ClassicGroup, request: JoinGroupRequest) -> None:
    names = [row.name for row in request.protocols]
    if not request.protocol_type or not names:
        raise InconsistentGroupProtocolError(f"a member of group {group.group_id!r} names no protocol")
    if group.phase is State.EMPTY:
        return
    if request.protocol_type != group.protocol_type or (len(group.members) and not group.members.supports(names)):
        raise InconsistentGroupProtocolError(
            f"group {group.group_id!r} of type {group.protocol_type!r} has no protocol in common with a member of type "
            f"{request.protocol_type!r} that knows {', '.join(names)}: let all members know one assignor of the others"
        )


# Newcomers


def _come_in(group: ClassicGroup, member_id: str, request: JoinGroupRequest, context: RequestContext) -> Answer:
    member = Member.joins(member_id, request, context)
    member.expires_ms = group.cluster.now_ms() + _NEW_MEMBER_TIMEOUT_MS
    if not len(group.members):
        group.protocol_type = request.protocol_type
    if group.rebalance.first_left_ms is not None:
        group.rebalance.has_newcomer = True
    group.members.add(member)
    answer = member.wait_to_join()
    rebalance.prepare_or_complete(group, _reason(f"member {member_id} comes", request))
    return answer


# Members that come again


def _join_again(group: ClassicGroup, request: JoinGroupRequest, context: RequestContext) -> Answer:
    if request.member_id in group.members.pending:
        if request.group_instance_id is not None:
            raise InvalidRequestError(f"the id {request.member_id!r} was given to a member without group.instance.id")
        return _come_in(group, request.member_id, request, context)
    member = group.members.find(request.member_id, request.group_instance_id)
    is_same = member.protocols == protocols_of(request)
    leads_again = group.phase is State.STABLE and group.members.is_leader(member.member_id)
    if group.phase is State.EMPTY:
        raise UnknownMemberIdError(f"group {group.group_id!r} is empty")
    if group.phase is not State.PREPARING_REBALANCE and is_same and not leads_again:
        return rebalance.joined(group, member)  # it has not seen the answer to its last JoinGroup
    answer = member.wait_to_join()
    member.says(request)
    rebalance.prepare_or_complete(group, _reason(f"member {member.member_id} joins again", request))
    return answer


# Static members


def _join_in_place_of(
    group: ClassicGroup, replaced: str, member_id: str, request: JoinGroupRequest, context: RequestContext
) -> Answer:
    old, old_leader = group.members.find(replaced), group.members.leader_id
    member = old.under(member_id, request)
    after = group.members.with_replaced(replaced, member)
    keeps_generation = group.phase is State.STABLE and after.select_protocol() == group.protocol_name
    if keeps_generation:
        group.write(group.value(after))
    old.dismiss(FencedInstanceIdError.info.code)
    group.members = after
    group.heard_of(member)
    if replaced in group.rebalance.unsynced:
        group.rebalance.unsynced ^= {replaced, member_id}
    log.info("group %r: member %r is %r now, in state %s", group.group_id, replaced, member_id, group.state)
    if keeps_generation:
        return _kept(group, member, old_leader, context)
    answer = member.wait_to_join()
    rebalance.prepare_or_complete(group, _reason(f"static member {member_id} joins", request))
    return answer


def _kept(group: ClassicGroup, member: Member, old_leader: str | None, context: RequestContext) -> JoinGroupResponse:
    """The generation goes on; its leader must not assign again."""
    response = rebalance.joined(group, member)
    if context.api_version >= _SKIPS_ASSIGNMENT_SINCE:
        response.skip_assignment = group.members.is_leader(member.member_id)
    else:  # it believes that another one leads
        response.leader, response.members = old_leader or "", []
    return response


def _reason(what: str, request: JoinGroupRequest) -> str:
    return f"{what}; client's reason: {request.reason or 'not provided'}"
