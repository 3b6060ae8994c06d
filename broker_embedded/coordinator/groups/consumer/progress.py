"""From what a member says to what it gets: the part that members of both protocols share."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from broker_embedded.coordinator.groups.consumer import subscriptions
from broker_embedded.coordinator.groups.consumer.member import NOTHING, Member, Partitions
from broker_embedded.coordinator.groups.consumer.reconcile import Goal, reconcile
from broker_embedded.coordinator.groups.consumer.settings import settings_of
from broker_embedded.coordinator.groups.consumer.state import State

if TYPE_CHECKING:
    from broker_embedded.coordinator.groups.consumer.group import ConsumerGroup
    from broker_embedded.session import RequestContext

log = logging.getLogger(__name__)


def take_in(group: ConsumerGroup, state: State, before: Member, now: Member, context: RequestContext) -> bool:
    """Put what a member says into `state`, and let the epoch and the targets follow.

    Whether its subscription is another one than before. Raises InvalidRegularExpressionError.
    """
    has_new_regex = now.regex != before.regex
    if now.regex and has_new_regex:
        subscriptions.check_regex(now.regex)
    has_new_subscription = now.topics != before.topics or has_new_regex
    state.members[now.member_id] = now
    topics, now_ms = group.cluster.topics, group.cluster.now_ms()
    has_changed = has_new_subscription
    if group.looks_for_topics(state, has_new_regex):
        has_changed |= subscriptions.resolve(state, topics, group.reader_of(context), now_ms)
    is_new_group = not group.data.members  # and its state may be that of a classic group
    names = subscriptions.read_names(state) if has_changed or is_new_group else group.names
    metadata_hash = subscriptions.metadata_hash(names, topics)
    if has_changed or metadata_hash != state.metadata_hash:
        state.epoch += 1
        state.metadata_hash = metadata_hash
        state.has_partition_metadata = False
    return has_new_subscription


def assign_if_due(group: ConsumerGroup, state: State) -> None:
    """New targets where the epoch has got ahead of them; not at every turn (KIP-1263)."""
    now_ms = group.cluster.now_ms()
    interval_ms = settings_of(group.cluster, group.group_id).assignment_interval_ms
    is_due = not (state.assigned_ms and interval_ms) or now_ms >= state.assigned_ms + interval_ms
    if state.assignment_epoch < state.epoch and is_due:
        subscriptions.assign(state, group.cluster.topics, now_ms)
        log.info("group %r: new targets for epoch %d, %d members", group.group_id, state.epoch, len(state.members))


def step(
    group: ConsumerGroup, state: State, member: Member, has: Partitions | None, has_new_subscription: bool
) -> Member:
    """The member one step nearer to its target, also in `state`; `has` is what it says it has."""
    if not member.has_reached(state.assignment_epoch) or has_new_subscription:
        goal = Goal(
            state.assignment_epoch,
            state.targets.get(member.member_id, NOTHING),
            subscriptions.topic_ids(state, member, group.cluster.topics),
            state.owned(),
            has,
            has_new_subscription,
        )
        member = state.members[member.member_id] = reconcile(member, goal)
    return member
