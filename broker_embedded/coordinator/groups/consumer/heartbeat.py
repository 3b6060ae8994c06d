"""ConsumerGroupHeartbeat: a member joins, stays, or leaves (Kafka: GroupMetadataManager.consumerGroupHeartbeat).

A heartbeat first changes what the member is; then, if the group reads something else now, the group's epoch; then, if
that has got ahead, the targets; and then the member goes one step towards its own. Other members hear of it with their
next heartbeats.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from broker_embedded.coordinator.groups.consumer import admission, requests, subscriptions
from broker_embedded.coordinator.groups.consumer.group import ConsumerGroup
from broker_embedded.coordinator.groups.consumer.member import (
    AWAY_EPOCH,
    JOINING_EPOCH,
    LEAVING_EPOCH,
    NOTHING,
    Member,
    by_topic,
)
from broker_embedded.coordinator.groups.consumer.reconcile import Goal, reconcile
from broker_embedded.coordinator.groups.consumer.settings import settings_of
from broker_embedded.coordinator.groups.consumer.state import State, gone_away
from broker_embedded.errors import GroupIdNotFoundError, UnknownMemberIdError
from broker_embedded.wire.messages.consumer_groups import (
    ConsumerGroupHeartbeatResponse,
    HeartbeatAssignment,
    HeartbeatTopicPartitions,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.coordinator.groups.group import Row
    from broker_embedded.handlers import RequestContext
    from broker_embedded.wire.messages.consumer_groups import ConsumerGroupHeartbeatRequest

log = logging.getLogger(__name__)


def answer(
    cluster: Cluster, request: ConsumerGroupHeartbeatRequest, context: RequestContext
) -> ConsumerGroupHeartbeatResponse:
    """Raises KafkaError, and nothing has changed then."""
    requests.check(request, context.api_version)
    if request.member_epoch in (LEAVING_EPOCH, AWAY_EPOCH):
        return _leave(find(cluster, request.group_id), request)
    if request.member_epoch == JOINING_EPOCH:
        group, state, before = _find_or_begin(cluster, request.group_id)
    else:
        group, before = find(cluster, request.group_id), []
        state = group.data.copy()
    return _stay(group, state, request, context, before)


def find(cluster: Cluster, group_id: str) -> ConsumerGroup:
    """Raises GroupIdNotFoundError for a group of another kind, too."""
    group = cluster.groups.by_id.get(group_id)
    if not isinstance(group, ConsumerGroup):
        raise GroupIdNotFoundError(f"there is no consumer group {group_id!r}")
    return group


def _find_or_begin(cluster: Cluster, group_id: str) -> tuple[ConsumerGroup, State, list[Row]]:
    """The group, a copy of its state, and rows that go before those of its change."""
    group = cluster.groups.by_id.get(group_id)
    if isinstance(group, ConsumerGroup):
        return group, group.data.copy(), []
    if group is None or group.is_empty:
        return ConsumerGroup(cluster, group_id), State(), [] if group is None else list(group.tombstones())
    raise GroupIdNotFoundError(f"group {group_id!r} is not a consumer group, and cannot become one")


@dataclass(frozen=True, slots=True)
class _Change:
    """What a heartbeat has changed about the subscription of its member."""

    topics: bool
    regex: bool


def _stay(
    group: ConsumerGroup,
    state: State,
    request: ConsumerGroupHeartbeatRequest,
    context: RequestContext,
    before: list[Row],
) -> ConsumerGroupHeartbeatResponse:
    admission.check_room(state, request.member_id, group.cluster.config.group_consumer_max_size)
    member = admission.admit(state, request.member_id or str(uuid4()), request)
    is_new = member.member_id not in state.members
    now = admission.updated(member, request, context)
    if now.regex and now.regex != member.regex:
        subscriptions.check_regex(now.regex)
    state.members[now.member_id] = now
    change = _Change(is_new or now.topics != member.topics, now.regex != member.regex)
    _follow(group, state, change, context)
    now = state.members[now.member_id] = _step(group, state, now, request, change)
    group.put(state, before)
    group.heard_of(now)
    if now != member:
        group.watch_rebalance(now)
    settings = settings_of(group.cluster, group.group_id)
    response = ConsumerGroupHeartbeatResponse(
        member_id=now.member_id, member_epoch=now.epoch, heartbeat_interval_ms=settings.heartbeat_interval_ms
    )
    if request.member_epoch == JOINING_EPOCH or requests.is_full(request) or now.assigned != member.assigned:
        rows = [HeartbeatTopicPartitions(topic, indexes) for topic, indexes in by_topic(now.assigned).items()]
        response.assignment = HeartbeatAssignment(rows)
    return response


def _follow(group: ConsumerGroup, state: State, change: _Change, context: RequestContext) -> None:
    """Let the group's epoch follow subscriptions and topics, and the targets the epoch."""
    topics, now_ms = group.cluster.topics, group.cluster.now_ms()
    has_changed = change.topics or change.regex
    if group.looks_for_topics(state, change.regex):
        has_changed |= subscriptions.resolve(state, topics, group.reader_of(context), now_ms)
    names = subscriptions.read_names(state) if has_changed else group.names
    metadata_hash = subscriptions.metadata_hash(names, topics)
    if has_changed or metadata_hash != state.metadata_hash:
        state.epoch += 1
        state.metadata_hash = metadata_hash
        state.has_partition_metadata = False
    interval_ms = settings_of(group.cluster, group.group_id).assignment_interval_ms
    is_due = not (state.assigned_ms and interval_ms) or now_ms >= state.assigned_ms + interval_ms
    if state.assignment_epoch < state.epoch and is_due:
        subscriptions.assign(state, topics, now_ms)
        log.info("group %r: new targets for epoch %d, %d members", group.group_id, state.epoch, len(state.members))


def _step(
    group: ConsumerGroup, state: State, member: Member, request: ConsumerGroupHeartbeatRequest, change: _Change
) -> Member:
    has_new_subscription = change.topics or change.regex
    if member.has_reached(state.assignment_epoch) and not has_new_subscription:
        return member
    goal = Goal(
        state.assignment_epoch,
        state.targets.get(member.member_id, NOTHING),
        subscriptions.topic_ids(state, member, group.cluster.topics),
        state.owned(),
        requests.reported(request),
        has_new_subscription,
    )
    return reconcile(member, goal)


def _leave(group: ConsumerGroup, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse:
    if request.instance_id is not None:
        existing = group.data.static_member(request.instance_id)
        member = admission.check_instance(existing, request.instance_id, request.member_id)
    elif request.member_id in group.data.members:
        member = group.data.members[request.member_id]
    else:
        raise UnknownMemberIdError(f"group {group.group_id!r} has no member {request.member_id!r}")
    if request.member_epoch == AWAY_EPOCH:
        log.info("group %r: static member %r is away for a while", group.group_id, member.member_id)
        state = group.data.copy()
        state.members[member.member_id] = gone_away(member)
        group.put(state)
        group.forget_deadlines([member.member_id], "rebalance")
    else:
        group.remove([member.member_id], "it has left")
    return ConsumerGroupHeartbeatResponse(member_id=member.member_id, member_epoch=request.member_epoch)
