"""A classic group of consumers becomes a consumer group, and the other way round (KIP-848, "Migration").

Up when a first member joins with a ConsumerGroupHeartbeat, down when the last such member has left. Members that speak
the classic protocol notice nothing but a rebalance. The setting is `group.consumer.migration.policy`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from broker_embedded.coordinator.groups.classic import rebalance
from broker_embedded.coordinator.groups.classic.group import ClassicGroup
from broker_embedded.coordinator.groups.classic.member import Member as OldMember
from broker_embedded.coordinator.groups.classic.states import State as Phase
from broker_embedded.coordinator.groups.consumer import subscriptions
from broker_embedded.coordinator.groups.consumer.embedded_protocol import (
    MalformedError,
    decode_assignment,
    decode_subscription,
    encode_assignment,
)
from broker_embedded.coordinator.groups.consumer.member import NOTHING, ClassicMember, Member, Partitions, by_topic
from broker_embedded.coordinator.groups.consumer.state import State
from broker_embedded.coordinator.groups.group import CONSUMER_PROTOCOL
from broker_embedded.errors import GroupIdNotFoundError

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.coordinator.groups.consumer.group import ConsumerGroup
    from broker_embedded.coordinator.groups.group import Group

log = logging.getLogger(__name__)

_UP = ("upgrade", "bidirectional")
_DOWN = ("downgrade", "bidirectional")


def policy(cluster: Cluster) -> str:
    return cluster.config.group_consumer_migration_policy.lower()


# Up


def upgraded(cluster: Cluster, group: Group) -> State:
    """A classic group with members, as a consumer group. Raises GroupIdNotFoundError where that cannot be."""
    if policy(cluster) not in _UP:
        raise _refusal(group, "group.consumer.migration.policy does not allow it")
    if not isinstance(group, ClassicGroup) or group.protocol_type != CONSUMER_PROTOCOL:
        raise _refusal(group, f"its members are of type {group.protocol_type!r}")
    if len(group.members) > cluster.config.group_consumer_max_size:
        raise _refusal(group, f"it has {len(group.members)} members, more than it may")
    state = State(epoch=group.generation, assignment_epoch=group.generation)
    try:
        for old in group.members:
            _take_over(cluster, state, group, old)
    except MalformedError as error:
        raise _refusal(group, str(error)) from error
    state.metadata_hash = subscriptions.metadata_hash(subscriptions.read_names(state), cluster.topics)
    log.info("group %r becomes a consumer group, with %d members", group.group_id, len(state.members))
    return state


def _refusal(group: Group, why: str) -> GroupIdNotFoundError:
    """Also for the log, as clients show the code only."""
    message = f"group {group.group_id!r} cannot become a consumer group: {why}"
    log.info("%s", message)
    return GroupIdNotFoundError(message)


def _take_over(cluster: Cluster, state: State, group: ClassicGroup, old: OldMember) -> None:
    protocol = group.protocol_name or old.protocols[0][0]
    subscription = decode_subscription(old.metadata(protocol))
    assignment = decode_assignment(old.assignment)
    if assignment.user_data:
        raise MalformedError("its members use an assignor of their own, whose data would be lost")
    target = with_ids(cluster, assignment.partitions)
    state.targets[old.member_id] = target
    state.members[old.member_id] = Member(
        old.member_id,
        old.instance_id,
        subscription.rack_id,
        old.client_id,
        old.client_host,
        subscription.topics,
        rebalance_timeout_ms=old.rebalance_timeout_ms,
        classic=ClassicMember(old.session_timeout_ms, old.protocols),
        epoch=group.generation,
        previous_epoch=group.generation,
        assigned=dict.fromkeys(target, group.generation),
    )


def with_ids(cluster: Cluster, partitions: frozenset[tuple[str, int]]) -> Partitions:
    """Without those of topics that are gone."""
    return frozenset((cluster.topics[name].id, index) for name, index in partitions if name in cluster.topics)


# Down


def may_downgrade(cluster: Cluster, state: State) -> bool:
    """Whether nobody is left who needs a consumer group, but somebody is."""
    return (
        bool(state.members)
        and all(member.classic is not None for member in state.members.values())
        and policy(cluster) in _DOWN
        and len(state.members) <= cluster.config.group_max_size
    )


def downgrade(group: ConsumerGroup, state: State, reason: str | None) -> None:
    """Put a classic group with the members of `state` in place of `group`; for a `reason` it rebalances.

    Raises KafkaStorageError, and nothing has changed then.
    """
    cluster = group.cluster
    classic = ClassicGroup(cluster, group.group_id)
    for member in state.members.values():
        classic.members.add(_old_member(member))
    classic.protocol_type, classic.protocol_name = CONSUMER_PROTOCOL, classic.members.select_protocol()
    classic.generation, classic.phase = state.epoch, Phase.STABLE
    classic.subscribed = classic.compute_subscribed()
    for old in classic.members:
        target = state.targets.get(old.member_id, NOTHING)
        old.assignment = assignment_bytes(cluster, old.metadata(classic.protocol_name), target)
    cluster.groups.write(group.group_id, [*group.tombstones(), *classic.rows()])
    cluster.groups.add(classic)
    group.end()
    for old in classic.members:
        classic.heard_of(old)
    log.info("group %r becomes a classic group, with %d members", group.group_id, len(classic.members))
    if reason is not None:
        rebalance.prepare(classic, reason)


def _old_member(member: Member) -> OldMember:
    assert member.classic is not None  # may_downgrade
    ids = (member.member_id, member.instance_id, member.client_id, member.client_host)
    return OldMember(*ids, member.rebalance_timeout_ms, member.classic.session_timeout_ms, member.classic.protocols)


def assignment_bytes(cluster: Cluster, metadata: bytes, partitions: Partitions) -> bytes:
    """What a classic member is told, in the version in which it has said its `metadata`."""
    names = {topic.id: name for name, topic in cluster.topics.items()}
    rows = {names[topic]: indexes for topic, indexes in by_topic(partitions).items() if topic in names}
    return encode_assignment(decode_subscription(metadata).version, rows)
