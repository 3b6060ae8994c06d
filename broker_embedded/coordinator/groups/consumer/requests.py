"""Rules for a ConsumerGroupHeartbeat that need no group (Kafka: GroupCoordinatorService)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.coordinator.groups.consumer.assignors import ASSIGNORS
from broker_embedded.coordinator.groups.consumer.member import (
    AWAY_EPOCH,
    JOINING_EPOCH,
    LEAVING_EPOCH,
    Partitions,
)
from broker_embedded.errors import InvalidRequestError, UnsupportedAssignorError

if TYPE_CHECKING:
    from broker_embedded.wire.messages.consumer_groups import ConsumerGroupHeartbeatRequest

_CLIENT_MAKES_ID_SINCE = 1


def check(request: ConsumerGroupHeartbeatRequest, api_version: int) -> None:
    """Raises InvalidRequestError, UnsupportedAssignorError."""
    epoch = request.member_epoch
    if not request.member_id and (api_version >= _CLIENT_MAKES_ID_SINCE or epoch > 0 or epoch == LEAVING_EPOCH):
        raise InvalidRequestError("MemberId can't be empty: the client makes one")
    for name, value in [
        ("GroupId", request.group_id),
        ("InstanceId", request.instance_id),
        ("RackId", request.rack_id),
    ]:
        if value is not None and not value.strip():
            raise InvalidRequestError(f"{name} can't be empty")
    if epoch == JOINING_EPOCH:
        _check_joining(request)
    elif epoch == AWAY_EPOCH and request.instance_id is None:
        raise InvalidRequestError("InstanceId can't be null: only a static member leaves for a while")
    elif epoch < AWAY_EPOCH:
        raise InvalidRequestError(f"MemberEpoch {epoch} is invalid: 0 joins, -1 leaves, -2 leaves for a while")
    if request.server_assignor is not None and request.server_assignor not in ASSIGNORS:
        raise UnsupportedAssignorError(
            f"ServerAssignor {request.server_assignor} is not supported; these are: {', '.join(ASSIGNORS)}"
        )


def _check_joining(request: ConsumerGroupHeartbeatRequest) -> None:
    if request.rebalance_timeout_ms == -1:
        raise InvalidRequestError("RebalanceTimeoutMs must be there in the first request")
    if request.topic_partitions is None or request.topic_partitions:
        raise InvalidRequestError("TopicPartitions must be empty when (re-)joining: what there was is given up")
    if request.subscribed_topic_names is None and request.subscribed_topic_regex is None:
        raise InvalidRequestError("SubscribedTopicNames or SubscribedTopicRegex must be there when (re-)joining")


def is_full(request: ConsumerGroupHeartbeatRequest) -> bool:
    """Whether the member says everything, as it does when it joins or has lost an answer: it wants to hear all too."""
    subscribes = request.subscribed_topic_names is not None or request.subscribed_topic_regex is not None
    return request.rebalance_timeout_ms != -1 and subscribes and request.topic_partitions is not None


def reported(request: ConsumerGroupHeartbeatRequest) -> Partitions | None:
    """What the member says it has; None where it has not said."""
    if request.topic_partitions is None:
        return None
    return frozenset((row.topic_id, index) for row in request.topic_partitions for index in row.partitions)
