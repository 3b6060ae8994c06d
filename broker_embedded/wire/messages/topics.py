"""Topics: Metadata, CreateTopics, DeleteTopics, CreatePartitions, DescribeTopicPartitions."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from broker_embedded.wire.messages import Message, Request, Response

NOT_ASKED = -(2**31)
"""In place of a bit field of authorized operations."""

# 3 Metadata


class MetadataRequestTopic(Message):
    name: str | None = None
    topic_id: UUID | None = None


class MetadataRequest(Request):
    """`topics` is None for all topics and empty for none."""

    api_key: ClassVar[int] = 3
    topics: list[MetadataRequestTopic] | None = None
    allow_auto_topic_creation: bool = True
    include_topic_authorized_operations: bool = False
    include_cluster_authorized_operations: bool = False


class MetadataResponseBroker(Message):
    node_id: int
    host: str
    port: int
    rack: str | None = None


class MetadataResponsePartition(Message):
    partition_index: int
    error_code: int = 0
    leader_id: int = -1
    leader_epoch: int = -1
    replica_nodes: list[int] = []
    isr_nodes: list[int] = []
    offline_replicas: list[int] = []


class MetadataResponseTopic(Message):
    error_code: int = 0
    name: str | None = None
    topic_id: UUID | None = None
    is_internal: bool = False
    partitions: list[MetadataResponsePartition] = []
    topic_authorized_operations: int = NOT_ASKED


class MetadataResponse(Response):
    brokers: list[MetadataResponseBroker] = []
    cluster_id: str | None = None
    controller_id: int = -1
    topics: list[MetadataResponseTopic] = []
    throttle_time_ms: int = 0
    error_code: int = 0
    cluster_authorized_operations: int = NOT_ASKED


# 19 CreateTopics


class CreatableReplicaAssignment(Message):
    partition_index: int
    broker_ids: list[int] = []


class CreatableTopicConfig(Message):
    name: str
    value: str | None


class CreatableTopic(Message):
    """-1 partitions or replicas: the broker's default."""

    name: str
    num_partitions: int = -1
    replication_factor: int = -1
    assignments: list[CreatableReplicaAssignment] = []
    configs: list[CreatableTopicConfig] = []


class CreateTopicsRequest(Request):
    api_key: ClassVar[int] = 19
    topics: list[CreatableTopic] = []
    timeout_ms: int = 60_000
    validate_only: bool = False


class CreatableTopicConfigs(Message):
    name: str
    value: str | None
    read_only: bool = False
    config_source: int = -1
    is_sensitive: bool = False


class CreatableTopicResult(Message):
    name: str
    topic_id: UUID | None = None
    error_code: int = 0
    error_message: str | None = None
    topic_config_error_code: int = 0
    num_partitions: int = -1
    replication_factor: int = -1
    configs: list[CreatableTopicConfigs] | None = []


class CreateTopicsResponse(Response):
    topics: list[CreatableTopicResult] = []
    throttle_time_ms: int = 0


# 20 DeleteTopics


class DeleteTopicState(Message):
    name: str | None = None
    topic_id: UUID | None = None


class DeleteTopicsRequest(Request):
    api_key: ClassVar[int] = 20
    topics: list[DeleteTopicState] = []
    timeout_ms: int = 60_000


class DeletableTopicResult(Message):
    name: str | None = None
    topic_id: UUID | None = None
    error_code: int = 0
    error_message: str | None = None


class DeleteTopicsResponse(Response):
    responses: list[DeletableTopicResult] = []
    throttle_time_ms: int = 0


# 37 CreatePartitions


class CreatePartitionsAssignment(Message):
    broker_ids: list[int] = []


class CreatePartitionsTopic(Message):
    name: str
    count: int
    assignments: list[CreatePartitionsAssignment] | None = None


class CreatePartitionsRequest(Request):
    api_key: ClassVar[int] = 37
    topics: list[CreatePartitionsTopic] = []
    timeout_ms: int = 60_000
    validate_only: bool = False


class CreatePartitionsTopicResult(Message):
    name: str
    error_code: int = 0
    error_message: str | None = None


class CreatePartitionsResponse(Response):
    results: list[CreatePartitionsTopicResult] = []
    throttle_time_ms: int = 0


# 75 DescribeTopicPartitions


class TopicRequest(Message):
    name: str


class Cursor(Message):
    """Where a page begins, or the next one does."""

    topic_name: str
    partition_index: int


class DescribeTopicPartitionsRequest(Request):
    api_key: ClassVar[int] = 75
    topics: list[TopicRequest] = []
    response_partition_limit: int = 2000
    cursor: Cursor | None = None


class DescribeTopicPartitionsResponsePartition(Message):
    """The eligible leader replicas may be null by the schema; Kafka's AdminClient fails on that (KIP-966)."""

    partition_index: int
    error_code: int = 0
    leader_id: int = -1
    leader_epoch: int = -1
    replica_nodes: list[int] = []
    isr_nodes: list[int] = []
    eligible_leader_replicas: list[int] | None = []
    last_known_elr: list[int] | None = []
    offline_replicas: list[int] = []


class DescribeTopicPartitionsResponseTopic(Message):
    error_code: int = 0
    name: str | None = None
    topic_id: UUID | None = None
    is_internal: bool = False
    partitions: list[DescribeTopicPartitionsResponsePartition] = []
    topic_authorized_operations: int = NOT_ASKED


class DescribeTopicPartitionsResponse(Response):
    topics: list[DescribeTopicPartitionsResponseTopic] = []
    next_cursor: Cursor | None = None
    throttle_time_ms: int = 0
