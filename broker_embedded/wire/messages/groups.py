"""Groups: their offsets, the classic protocol, and what admins ask about them."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from broker_embedded.wire.messages import Buffer, Message, Request, Response

# 8 OffsetCommit


class OffsetCommitRequestPartition(Message):
    partition_index: int
    committed_offset: int
    committed_leader_epoch: int = -1
    committed_metadata: str | None = ""


class OffsetCommitRequestTopic(Message):
    name: str = ""
    topic_id: UUID | None = None
    partitions: list[OffsetCommitRequestPartition] = []


class OffsetCommitRequest(Request):
    api_key: ClassVar[int] = 8
    group_id: str
    generation_id_or_member_epoch: int = -1
    member_id: str = ""
    group_instance_id: str | None = None
    topics: list[OffsetCommitRequestTopic] = []


class OffsetCommitResponsePartition(Message):
    partition_index: int
    error_code: int = 0


class OffsetCommitResponseTopic(Message):
    name: str = ""
    topic_id: UUID | None = None
    partitions: list[OffsetCommitResponsePartition] = []


class OffsetCommitResponse(Response):
    topics: list[OffsetCommitResponseTopic] = []
    throttle_time_ms: int = 0


# 9 OffsetFetch


class OffsetFetchRequestTopics(Message):
    name: str = ""
    topic_id: UUID | None = None
    partition_indexes: list[int] = []


class OffsetFetchRequestGroup(Message):
    """`topics` is None for every partition the group has an offset for."""

    group_id: str
    member_id: str | None = None
    member_epoch: int = -1
    topics: list[OffsetFetchRequestTopics] | None = None


class OffsetFetchRequest(Request):
    api_key: ClassVar[int] = 9
    groups: list[OffsetFetchRequestGroup] = []
    require_stable: bool = False


class OffsetFetchResponsePartitions(Message):
    partition_index: int
    committed_offset: int = -1
    committed_leader_epoch: int = -1
    metadata: str | None = ""
    error_code: int = 0


class OffsetFetchResponseTopics(Message):
    name: str = ""
    topic_id: UUID | None = None
    partitions: list[OffsetFetchResponsePartitions] = []


class OffsetFetchResponseGroup(Message):
    group_id: str
    topics: list[OffsetFetchResponseTopics] = []
    error_code: int = 0


class OffsetFetchResponse(Response):
    groups: list[OffsetFetchResponseGroup] = []
    throttle_time_ms: int = 0


# 10 FindCoordinator


class FindCoordinatorRequest(Request):
    """`key_type`: 0 group, 1 transactional id, 2 share partition."""

    api_key: ClassVar[int] = 10
    key_type: int = 0
    coordinator_keys: list[str] = []


class Coordinator(Message):
    key: str
    node_id: int = -1
    host: str = ""
    port: int = -1
    error_code: int = 0
    error_message: str | None = None


class FindCoordinatorResponse(Response):
    coordinators: list[Coordinator] = []
    throttle_time_ms: int = 0


# 11 JoinGroup


class JoinGroupRequestProtocol(Message):
    """An assignor that a member knows, and what it says to whoever assigns."""

    name: str
    metadata: Buffer = b""


class JoinGroupRequest(Request):
    """`rebalance_timeout_ms` is -1 in version 0, which has only the session timeout."""

    api_key: ClassVar[int] = 11
    group_id: str
    session_timeout_ms: int
    member_id: str = ""
    protocol_type: str = ""
    protocols: list[JoinGroupRequestProtocol] = []
    rebalance_timeout_ms: int = -1
    group_instance_id: str | None = None
    reason: str | None = None


class JoinGroupResponseMember(Message):
    member_id: str
    group_instance_id: str | None = None
    metadata: Buffer = b""


class JoinGroupResponse(Response):
    """`members` are told to the leader only."""

    error_code: int = 0
    generation_id: int = -1
    protocol_type: str | None = None
    protocol_name: str | None = None
    leader: str = ""
    skip_assignment: bool = False
    member_id: str = ""
    members: list[JoinGroupResponseMember] = []
    throttle_time_ms: int = 0


# 12 Heartbeat


class HeartbeatRequest(Request):
    api_key: ClassVar[int] = 12
    group_id: str
    generation_id: int
    member_id: str
    group_instance_id: str | None = None


class HeartbeatResponse(Response):
    error_code: int = 0
    throttle_time_ms: int = 0


# 13 LeaveGroup


class MemberIdentity(Message):
    member_id: str = ""
    group_instance_id: str | None = None
    reason: str | None = None


class LeaveGroupRequest(Request):
    api_key: ClassVar[int] = 13
    group_id: str
    members: list[MemberIdentity] = []


class MemberResponse(Message):
    member_id: str
    group_instance_id: str | None = None
    error_code: int = 0


class LeaveGroupResponse(Response):
    error_code: int = 0
    members: list[MemberResponse] = []
    throttle_time_ms: int = 0


# 14 SyncGroup


class SyncGroupRequestAssignment(Message):
    member_id: str
    assignment: Buffer = b""


class SyncGroupRequest(Request):
    api_key: ClassVar[int] = 14
    group_id: str
    generation_id: int
    member_id: str
    group_instance_id: str | None = None
    protocol_type: str | None = None
    protocol_name: str | None = None
    assignments: list[SyncGroupRequestAssignment] = []


class SyncGroupResponse(Response):
    error_code: int = 0
    protocol_type: str | None = None
    protocol_name: str | None = None
    assignment: Buffer = b""
    throttle_time_ms: int = 0


# 15 DescribeGroups


class DescribeGroupsRequest(Request):
    api_key: ClassVar[int] = 15
    groups: list[str] = []
    include_authorized_operations: bool = False


class DescribedGroupMember(Message):
    member_id: str
    group_instance_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    member_metadata: Buffer = b""
    member_assignment: Buffer = b""


class DescribedGroup(Message):
    group_id: str
    error_code: int = 0
    error_message: str | None = None
    group_state: str = ""
    protocol_type: str = ""
    protocol_data: str = ""
    members: list[DescribedGroupMember] = []
    authorized_operations: int = -(2**31)


class DescribeGroupsResponse(Response):
    groups: list[DescribedGroup] = []
    throttle_time_ms: int = 0


# 16 ListGroups


class ListGroupsRequest(Request):
    """Empty filters let every group pass."""

    api_key: ClassVar[int] = 16
    states_filter: list[str] = []
    types_filter: list[str] = []


class ListedGroup(Message):
    group_id: str
    protocol_type: str = ""
    group_state: str = ""
    group_type: str = ""


class ListGroupsResponse(Response):
    error_code: int = 0
    groups: list[ListedGroup] = []
    throttle_time_ms: int = 0


# 42 DeleteGroups


class DeleteGroupsRequest(Request):
    api_key: ClassVar[int] = 42
    groups_names: list[str] = []


class DeletableGroupResult(Message):
    group_id: str
    error_code: int = 0


class DeleteGroupsResponse(Response):
    results: list[DeletableGroupResult] = []
    throttle_time_ms: int = 0


# 47 OffsetDelete


class OffsetDeleteRequestPartition(Message):
    partition_index: int


class OffsetDeleteRequestTopic(Message):
    name: str
    partitions: list[OffsetDeleteRequestPartition] = []


class OffsetDeleteRequest(Request):
    api_key: ClassVar[int] = 47
    group_id: str
    topics: list[OffsetDeleteRequestTopic] = []


class OffsetDeleteResponsePartition(Message):
    partition_index: int
    error_code: int = 0


class OffsetDeleteResponseTopic(Message):
    name: str
    partitions: list[OffsetDeleteResponsePartition] = []


class OffsetDeleteResponse(Response):
    error_code: int = 0
    topics: list[OffsetDeleteResponseTopic] = []
    throttle_time_ms: int = 0
