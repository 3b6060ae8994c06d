"""Groups: their offsets, the classic protocol, and what admins ask about them."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from broker_embedded.wire.messages import Message, Request, Response

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
