"""ConsumerGroupHeartbeat: a member joins, stays, or leaves (Kafka: GroupMetadataManager.consumerGroupHeartbeat).

A heartbeat first changes what the member is; then, if the group reads something else now, the group's epoch; then, if
that has got ahead, the targets; and then the member goes one step towards its own. Other members hear of it with their
next heartbeats.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import uuid4

from broker_embedded.coordinator.groups.consumer import admission, migration, progress, requests
from broker_embedded.coordinator.groups.consumer.group import ConsumerGroup
from broker_embedded.coordinator.groups.consumer.member import (
    AWAY_EPOCH,
    JOINING_EPOCH,
    LEAVING_EPOCH,
    Member,
    by_topic,
)
from broker_embedded.coordinator.groups.consumer.settings import settings_of
from broker_embedded.coordinator.groups.consumer.state import State, gone_away
from broker_embedded.errors import GroupIdNotFoundError
from broker_embedded.wire.messages.consumer_groups import (
    ConsumerGroupHeartbeatResponse,
    HeartbeatAssignment,
    HeartbeatTopicPartitions,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.session import RequestContext
    from broker_embedded.wire.messages.consumer_groups import ConsumerGroupHeartbeatRequest

log = logging.getLogger(__name__)


def answer(
    cluster: Cluster, request: ConsumerGroupHeartbeatRequest, context: RequestContext
) -> ConsumerGroupHeartbeatResponse:
    """Raises KafkaError, and nothing has changed then."""
    requests.check(request, context.api_version)
    if request.member_epoch in (LEAVING_EPOCH, AWAY_EPOCH):
        return _leave(find(cluster, request.group_id), request)
    known = cluster.groups.by_id.get(request.group_id)
    if request.member_epoch != JOINING_EPOCH or isinstance(known, ConsumerGroup):
        group = find(cluster, request.group_id)
        return _stay(group, group.data.copy(), request, context)
    group = ConsumerGroup(cluster, request.group_id, known)
    state = State() if known is None or known.is_empty else migration.upgraded(cluster, known)
    return _stay(group, state, request, context)


def find(cluster: Cluster, group_id: str) -> ConsumerGroup:
    """Raises GroupIdNotFoundError for a group of another kind, too."""
    group = cluster.groups.get(group_id)
    if group is None:
        raise GroupIdNotFoundError(f"Group {group_id} not found.")
    if not isinstance(group, ConsumerGroup):
        raise GroupIdNotFoundError(f"Group {group_id} is not a consumer group.")
    return group


def _stay(
    group: ConsumerGroup, state: State, request: ConsumerGroupHeartbeatRequest, context: RequestContext
) -> ConsumerGroupHeartbeatResponse:
    admission.check_room(state, request.member_id, group.cluster.config.group_consumer_max_size)
    before = admission.admit(state, request.member_id or str(uuid4()), request)
    now = admission.updated(before, request, context)
    has_new_subscription = progress.take_in(group, state, before, now, context)
    progress.assign_if_due(group, state)
    now = progress.step(group, state, now, requests.reported(request), has_new_subscription)
    group.put(state)
    group.heard_of(now)
    if now != before:
        group.watch_rebalance(now)
    heartbeat_interval_ms = settings_of(group.cluster, group.group_id).heartbeat_interval_ms
    is_complete = request.member_epoch == JOINING_EPOCH or requests.is_full(request)
    assignment = _assignment(now) if is_complete or now.assigned != before.assigned else None
    return ConsumerGroupHeartbeatResponse(0, None, now.member_id, now.epoch, heartbeat_interval_ms, assignment)


def _assignment(member: Member) -> HeartbeatAssignment:
    rows = by_topic(member.assigned).items()
    return HeartbeatAssignment([HeartbeatTopicPartitions(topic, indexes) for topic, indexes in rows])


def _leave(group: ConsumerGroup, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse:
    member = group.find(request.member_id, request.instance_id)
    if request.member_epoch == AWAY_EPOCH:
        log.info("group %r: static member %r is away for a while", group.group_id, member.member_id)
        state = group.data.copy()
        state.members[member.member_id] = gone_away(member)
        group.put(state)
        group.forget_deadlines([member.member_id], "rebalance")
    else:
        group.remove([member.member_id], "it has left")
    return ConsumerGroupHeartbeatResponse(member_id=member.member_id, member_epoch=request.member_epoch)
