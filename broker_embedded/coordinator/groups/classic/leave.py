"""LeaveGroup of a classic group: members that go, and static ones that somebody sends away by their instance id."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from broker_embedded.coordinator.groups.classic import rebalance
from broker_embedded.coordinator.groups.classic.states import State
from broker_embedded.errors import KafkaError, UnknownMemberIdError
from broker_embedded.wire.messages.groups import LeaveGroupResponse, MemberResponse

if TYPE_CHECKING:
    from broker_embedded.coordinator.groups.classic.group import ClassicGroup
    from broker_embedded.wire.messages.groups import LeaveGroupRequest, MemberIdentity

log = logging.getLogger(__name__)


def leave(group: ClassicGroup, request: LeaveGroupRequest) -> LeaveGroupResponse:
    """Take members out, each with an answer of its own; the others rebalance once. Raises KafkaError."""
    group.check_alive()
    response = LeaveGroupResponse()
    for row in request.members:
        code = 0
        try:
            _leave(group, row)
        except KafkaError as error:
            code = error.code
        response.members.append(MemberResponse(row.member_id, row.group_instance_id, code))
    gone = [row.member_id for row in response.members if row.error_code == 0]
    if gone and group.phase is not State.EMPTY:
        rebalance.prepare_or_complete(group, f"{', '.join(gone)} left")
    return response


def _leave(group: ClassicGroup, row: MemberIdentity) -> None:
    log.info(
        "group %r: member %r (%s) leaves: %s",
        *(group.group_id, row.member_id, row.group_instance_id, row.reason or "no reason given"),
    )
    if row.member_id in group.members.pending:
        group.members.remove(row.member_id)
        return
    member_id = row.member_id
    if not member_id:
        found = group.members.static.get(row.group_instance_id or "")
        if found is None:
            raise UnknownMemberIdError(f"group {group.group_id!r} has no member {row.group_instance_id!r}")
        member_id = found
    group.remove_member(group.members.find(member_id, row.group_instance_id))
