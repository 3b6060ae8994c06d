"""SyncGroup of a classic group: the leader hands in what everybody gets, the others wait for it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from broker_embedded.coordinator.groups.classic import rebalance
from broker_embedded.coordinator.groups.classic.states import State
from broker_embedded.errors import (
    InconsistentGroupProtocolError,
    KafkaError,
    KafkaStorageError,
    NotCoordinatorError,
    RebalanceInProgressError,
)
from broker_embedded.wire.messages.groups import SyncGroupResponse

if TYPE_CHECKING:
    from broker_embedded.coordinator.groups.classic.group import ClassicGroup
    from broker_embedded.coordinator.groups.classic.member import Member
    from broker_embedded.wire.messages.groups import SyncGroupRequest

log = logging.getLogger(__name__)


async def sync(group: ClassicGroup, request: SyncGroupRequest) -> SyncGroupResponse:
    """Answer a SyncGroup, when the leader has sent its own. Raises KafkaError."""
    answer = _sync(group, request)
    return answer if isinstance(answer, SyncGroupResponse) else await asyncio.shield(answer)


def _sync(group: ClassicGroup, request: SyncGroupRequest) -> SyncGroupResponse | asyncio.Future[SyncGroupResponse]:
    group.check_alive()
    member = group.members.find(request.member_id, request.group_instance_id)
    group.check_generation(request.generation_id)
    _check_protocol(group, request)
    if group.phase is State.PREPARING_REBALANCE:
        raise RebalanceInProgressError(f"group {group.group_id!r} is rebalancing: join again")
    rebalance.synced(group, member.member_id)
    if group.phase is State.STABLE:
        return _assigned(group, member)
    answer = member.wait_to_sync()
    if group.members.is_leader(member.member_id):
        _assign(group, {row.member_id: bytes(row.assignment) for row in request.assignments})
    return answer


def _check_protocol(group: ClassicGroup, request: SyncGroupRequest) -> None:
    asked = (request.protocol_type, request.protocol_name)
    for name, own in zip(asked, (group.protocol_type, group.protocol_name), strict=True):
        if name is not None and name != own:
            raise InconsistentGroupProtocolError(
                f"group {group.group_id!r} goes by {group.protocol_type}/{group.protocol_name}, "
                f"not {request.protocol_type}/{request.protocol_name}"
            )


def _assign(group: ClassicGroup, assignments: dict[str, bytes]) -> None:
    """The generation gets its assignments, written down first; whom the leader has left out gets an empty one."""
    try:
        group.write(group.value(assignments=assignments))
    except KafkaError as error:
        log.warning("group %r: the assignment could not be written down: %s", group.group_id, error)
        code = NotCoordinatorError.info.code if isinstance(error, KafkaStorageError) else error.code
        rebalance.reset_assignments(group, code)
        rebalance.prepare(group, "the assignment could not be written down")
        return
    group.move(State.STABLE)
    for member in group.members:
        member.assignment = assignments.get(member.member_id, b"")
        if member.answer_sync(_assigned(group, member)):
            group.heard_of(member)


def _assigned(group: ClassicGroup, member: Member) -> SyncGroupResponse:
    return SyncGroupResponse(0, group.protocol_type, group.protocol_name, member.assignment)
