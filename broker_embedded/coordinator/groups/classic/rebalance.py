"""From one generation of a classic group to the next (Kafka: GroupMetadataManager).

A rebalance begins when somebody comes, goes, or says something new (`prepare`). It waits until all members have sent
JoinGroup again, as long as the slowest of them may take; who has not by then is no member any more. The next
generation then waits for the SyncGroup of everybody, as long again. The first rebalance of an empty group waits a
little, so that members that start together find each other.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker_embedded.coordinator.groups.classic.states import BALANCED, State
from broker_embedded.errors import KafkaError, RebalanceInProgressError
from broker_embedded.wire.messages.groups import JoinGroupResponse, JoinGroupResponseMember, SyncGroupResponse

if TYPE_CHECKING:
    from broker_embedded.coordinator.groups.classic.group import ClassicGroup
    from broker_embedded.coordinator.groups.classic.member import Member

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Clock:
    """What a group waits for, and until when."""

    join_due_ms: int | None = None
    """When those who have not joined are given up."""
    first_left_ms: int | None = None
    """In the first rebalance of an empty group: how much longer it may be put off for members that still come."""
    has_newcomer: bool = False
    """Somebody has come since it was put off last."""
    sync_due_ms: int | None = None
    unsynced: set[str] = field(default_factory=set)
    """Members of the generation that have not sent SyncGroup yet."""


# The beginning


def prepare_or_complete(group: ClassicGroup, reason: str) -> None:
    """A member has come, gone, or changed: begin a rebalance, or see whether the one that runs is through."""
    if group.phase is State.PREPARING_REBALANCE:
        complete_if_all_joined(group)
    else:
        prepare(group, reason)


def prepare(group: ClassicGroup, reason: str) -> None:
    """Begin a rebalance: from now on members are told to join again."""
    log.info(
        "group %r: preparing to rebalance, from generation %d and state %s (%s)",
        *(group.group_id, group.generation, group.state, reason),
    )
    if group.phase is State.COMPLETING_REBALANCE:
        reset_assignments(group, RebalanceInProgressError.info.code)
    is_first = group.phase is State.EMPTY
    group.move(State.PREPARING_REBALANCE)
    group.rebalance = Clock()
    timeout_ms, now_ms = group.members.rebalance_timeout_ms(), group.cluster.now_ms()
    if is_first:
        delay_ms = group.cluster.config.group_initial_rebalance_delay_ms
        group.rebalance.first_left_ms = max(timeout_ms - delay_ms, 0)
        group.rebalance.join_due_ms = now_ms + delay_ms
        if delay_ms == 0:
            complete(group)
    else:
        group.rebalance.join_due_ms = now_ms + timeout_ms
        complete_if_all_joined(group)


def after_removal(group: ClassicGroup, reason: str) -> None:
    """Members have been taken out: the others share what they had."""
    if group.phase in BALANCED:
        prepare(group, reason)
    else:
        stop_waiting(group)


def stop_waiting(group: ClassicGroup) -> None:
    """Somebody who has not joined is gone: nobody else may be missing."""
    if group.phase is State.PREPARING_REBALANCE and group.members.have_all_joined:
        complete(group)


# The end of joining


def complete_if_all_joined(group: ClassicGroup) -> None:
    """Begin the next generation if everybody is there; not before its time in a group that was empty."""
    if group.rebalance.first_left_ms is None and group.members.have_all_joined:
        complete(group)


def complete(group: ClassicGroup) -> None:
    """Begin the next generation with those who have joined; static members stay while their session lasts."""
    for member in group.members:
        if member.joining is None and not member.is_static:
            log.info("group %r: member %r has not joined again in time: removed", group.group_id, member.member_id)
            group.remove_member(member)
    if len(group.members) and not group.members.elect_joined_leader():
        group.rebalance.join_due_ms = group.cluster.now_ms() + group.members.rebalance_timeout_ms()
        return
    group.generation += 1
    group.rebalance = Clock()
    if len(group.members):
        _begin_generation(group)
    else:
        _become_empty(group)


def _begin_generation(group: ClassicGroup) -> None:
    group.protocol_name = group.members.select_protocol()
    group.subscribed = group.compute_subscribed()
    group.move(State.COMPLETING_REBALANCE)
    group.rebalance.sync_due_ms = group.cluster.now_ms() + group.members.rebalance_timeout_ms()
    for member in group.members:
        member.is_new = False
        member.answer_join(joined(group, member))
        group.heard_of(member)
        group.rebalance.unsynced.add(member.member_id)


def _become_empty(group: ClassicGroup) -> None:
    group.protocol_name = None
    group.subscribed = group.compute_subscribed()
    group.move(State.EMPTY)
    try:
        group.write(group.value())
    except KafkaError as error:  # after a restart the generation before is back, whose members' sessions end as well
        log.warning("group %r is empty, which could not be written down: %s", group.group_id, error)


def joined(group: ClassicGroup, member: Member) -> JoinGroupResponse:
    """What a member of the generation is told; the leader learns of all members."""
    members = []
    if group.members.is_leader(member.member_id):
        members = [
            JoinGroupResponseMember(one.member_id, one.instance_id, one.metadata(group.protocol_name))
            for one in group.members
        ]
    return JoinGroupResponse(
        0,
        group.generation,
        group.protocol_type,
        group.protocol_name,
        group.members.leader_id or "",
        False,
        member.member_id,
        members,
    )


# Assignments


def reset_assignments(group: ClassicGroup, error_code: int) -> None:
    """Nobody has anything: those who wait for their assignment get an error instead."""
    for member in group.members:
        member.assignment = b""
        if member.answer_sync(SyncGroupResponse(error_code)):
            group.heard_of(member)


# Time


def tick(group: ClassicGroup, now_ms: int) -> None:
    clock = group.rebalance
    if clock.join_due_ms is not None and clock.join_due_ms <= now_ms:
        _join_is_due(group, now_ms)
    elif clock.sync_due_ms is not None and clock.sync_due_ms <= now_ms:
        _sync_is_due(group)


def _join_is_due(group: ClassicGroup, now_ms: int) -> None:
    clock = group.rebalance
    if clock.has_newcomer and clock.first_left_ms:
        delay_ms = min(group.cluster.config.group_initial_rebalance_delay_ms, clock.first_left_ms)
        clock.first_left_ms -= delay_ms
        clock.join_due_ms = now_ms + delay_ms
        clock.has_newcomer = False
    else:
        complete(group)


def _sync_is_due(group: ClassicGroup) -> None:
    gone = sorted(group.rebalance.unsynced)
    group.rebalance.sync_due_ms = None
    for member_id in gone:
        if member_id in group.members:
            group.remove_member(group.members.find(member_id))
    if gone:
        prepare(group, f"no SyncGroup in time of {', '.join(gone)}")


def synced(group: ClassicGroup, member_id: str) -> None:
    """A member has sent SyncGroup."""
    group.rebalance.unsynced.discard(member_id)
    if not group.rebalance.unsynced:
        group.rebalance.sync_due_ms = None
