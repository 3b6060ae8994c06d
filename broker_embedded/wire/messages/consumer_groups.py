"""The next generation of the group protocol (KIP-848)."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from broker_embedded.wire.messages import Message, Request, Response

# 68 ConsumerGroupHeartbeat


class HeartbeatTopicPartitions(Message):
    topic_id: UUID
    partitions: list[int] = []


class ConsumerGroupHeartbeatRequest(Request):
    """None (-1 for the timeout) means "as in my last heartbeat"; `member_epoch` 0 joins, -1 leaves, -2 comes back."""

    api_key: ClassVar[int] = 68
    group_id: str
    member_id: str
    member_epoch: int
    instance_id: str | None = None
    rack_id: str | None = None
    rebalance_timeout_ms: int = -1
    subscribed_topic_names: list[str] | None = None
    subscribed_topic_regex: str | None = None
    server_assignor: str | None = None
    topic_partitions: list[HeartbeatTopicPartitions] | None = None


class HeartbeatAssignment(Message):
    topic_partitions: list[HeartbeatTopicPartitions] = []


class ConsumerGroupHeartbeatResponse(Response):
    """`assignment` is None where it has not changed."""

    error_code: int = 0
    error_message: str | None = None
    member_id: str | None = None
    member_epoch: int = 0
    heartbeat_interval_ms: int = 0
    assignment: HeartbeatAssignment | None = None
    throttle_time_ms: int = 0


# 69 ConsumerGroupDescribe


class ConsumerGroupDescribeRequest(Request):
    api_key: ClassVar[int] = 69
    group_ids: list[str] = []
    include_authorized_operations: bool = False


class DescribedTopicPartitions(Message):
    topic_id: UUID
    topic_name: str
    partitions: list[int] = []


class DescribedAssignment(Message):
    topic_partitions: list[DescribedTopicPartitions] = []


class DescribedMember(Message):
    """`member_type`: 0 speaks the classic protocol, 1 this one, -1 is not known."""

    member_id: str
    instance_id: str | None
    rack_id: str | None
    member_epoch: int
    client_id: str
    client_host: str
    assignment: DescribedAssignment
    target_assignment: DescribedAssignment
    subscribed_topic_names: list[str] = []
    subscribed_topic_regex: str | None = None
    member_type: int = -1


class DescribedGroup(Message):
    group_id: str
    error_code: int = 0
    error_message: str | None = None
    group_state: str = ""
    group_epoch: int = 0
    assignment_epoch: int = 0
    assignor_name: str = ""
    members: list[DescribedMember] = []
    authorized_operations: int = -(2**31)


class ConsumerGroupDescribeResponse(Response):
    groups: list[DescribedGroup] = []
    throttle_time_ms: int = 0
