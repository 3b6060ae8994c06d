"""Requests and responses of the Kafka protocol as plain structs, independent of any version.

A struct has the fields of all versions; the wire codec leaves out what a version lacks and fills in defaults, so
handlers never see a version. Names are those of Kafka's message definitions (clients/src/main/resources/common/message)
in snake_case; durations and points in time are integers in milliseconds, an error is its code (0 is none), and a topic
is named by `name` or, in versions that have only ids, by `topic_id`.

One file, because it is a table: seventeen APIs, each a request, a response and their rows. `msgspec.Struct` rather than
dataclasses: defining these seventy classes costs 0.6 ms of every process start instead of 18 ms, and making one is
several times cheaper, which each produce pays.

>>> request = FetchRequest(topics=[FetchTopic(name="flights", partitions=[FetchPartition(0, fetch_offset=42)])])
>>> request.api_key, request.min_bytes, request.topics[0].partitions[0].fetch_offset
(1, 1, 42)
"""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

import msgspec

Buffer = bytes | bytearray | memoryview

LATEST_TIMESTAMP = -1
EARLIEST_TIMESTAMP = -2
MAX_TIMESTAMP = -3
EARLIEST_LOCAL_TIMESTAMP = -4

READ_UNCOMMITTED = 0
READ_COMMITTED = 1

RESOURCE_TOPIC = 2
RESOURCE_BROKER = 4


class Message(msgspec.Struct):
    """A request, a response, or a row of one."""


class Request(Message):
    """What a client asks for; `api_key` says which handler answers."""

    api_key: ClassVar[int] = -1


class Response(Message):
    """What a handler answers."""


# 0 Produce


class PartitionProduceData(Message):
    index: int
    records: Buffer


class TopicProduceData(Message):
    name: str = ""
    topic_id: UUID | None = None
    partition_data: list[PartitionProduceData] = []


class ProduceRequest(Request):
    api_key: ClassVar[int] = 0
    transactional_id: str | None = None
    acks: int = -1
    timeout_ms: int = 30_000
    topic_data: list[TopicProduceData] = []


class BatchIndexAndErrorMessage(Message):
    batch_index: int
    batch_index_error_message: str | None = None


class PartitionProduceResponse(Message):
    index: int
    error_code: int = 0
    base_offset: int = -1
    log_append_time_ms: int = -1
    log_start_offset: int = -1
    record_errors: list[BatchIndexAndErrorMessage] = []
    error_message: str | None = None


class TopicProduceResponse(Message):
    name: str = ""
    topic_id: UUID | None = None
    partition_responses: list[PartitionProduceResponse] = []


class ProduceResponse(Response):
    responses: list[TopicProduceResponse] = []
    throttle_time_ms: int = 0


# 1 Fetch


class FetchPartition(Message):
    partition: int
    fetch_offset: int
    partition_max_bytes: int = 1 << 20
    current_leader_epoch: int = -1
    last_fetched_epoch: int = -1
    log_start_offset: int = -1


class FetchTopic(Message):
    name: str = ""
    topic_id: UUID | None = None
    partitions: list[FetchPartition] = []


class ForgottenTopic(Message):
    name: str = ""
    topic_id: UUID | None = None
    partitions: list[int] = []


class FetchRequest(Request):
    api_key: ClassVar[int] = 1
    max_wait_ms: int = 500
    min_bytes: int = 1
    max_bytes: int = 0x7FFFFFFF
    isolation_level: int = READ_UNCOMMITTED
    session_id: int = 0
    session_epoch: int = -1
    topics: list[FetchTopic] = []
    forgotten_topics_data: list[ForgottenTopic] = []
    rack_id: str = ""


class AbortedTransaction(Message):
    producer_id: int
    first_offset: int


class PartitionData(Message):
    """`records` is whole batches as they are stored, in order, in one or several pieces."""

    partition_index: int
    error_code: int = 0
    high_watermark: int = -1
    last_stable_offset: int = -1
    log_start_offset: int = -1
    aborted_transactions: list[AbortedTransaction] | None = None
    preferred_read_replica: int = -1
    records: list[memoryview] = []
    next_offset: int = (
        -1
    )  # ours, not sent: the offset after the last batch, so that nobody in this process parses for it


class FetchableTopicResponse(Message):
    name: str = ""
    topic_id: UUID | None = None
    partitions: list[PartitionData] = []


class FetchResponse(Response):
    error_code: int = 0
    session_id: int = 0
    responses: list[FetchableTopicResponse] = []
    throttle_time_ms: int = 0


# 2 ListOffsets


class ListOffsetsPartition(Message):
    partition_index: int
    timestamp: int
    current_leader_epoch: int = -1


class ListOffsetsTopic(Message):
    name: str
    partitions: list[ListOffsetsPartition] = []


class ListOffsetsRequest(Request):
    api_key: ClassVar[int] = 2
    replica_id: int = -1
    isolation_level: int = READ_UNCOMMITTED
    topics: list[ListOffsetsTopic] = []
    timeout_ms: int = 0


class ListOffsetsPartitionResponse(Message):
    partition_index: int
    error_code: int = 0
    timestamp: int = -1
    offset: int = -1
    leader_epoch: int = -1


class ListOffsetsTopicResponse(Message):
    name: str
    partitions: list[ListOffsetsPartitionResponse] = []


class ListOffsetsResponse(Response):
    topics: list[ListOffsetsTopicResponse] = []
    throttle_time_ms: int = 0


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
    topic_authorized_operations: int = -2147483648


class MetadataResponse(Response):
    brokers: list[MetadataResponseBroker] = []
    cluster_id: str | None = None
    controller_id: int = -1
    topics: list[MetadataResponseTopic] = []
    throttle_time_ms: int = 0


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


# 21 DeleteRecords


class DeleteRecordsPartition(Message):
    partition_index: int
    offset: int


class DeleteRecordsTopic(Message):
    name: str
    partitions: list[DeleteRecordsPartition] = []


class DeleteRecordsRequest(Request):
    api_key: ClassVar[int] = 21
    topics: list[DeleteRecordsTopic] = []
    timeout_ms: int = 60_000


class DeleteRecordsPartitionResult(Message):
    partition_index: int
    low_watermark: int = -1
    error_code: int = 0


class DeleteRecordsTopicResult(Message):
    name: str
    partitions: list[DeleteRecordsPartitionResult] = []


class DeleteRecordsResponse(Response):
    topics: list[DeleteRecordsTopicResult] = []
    throttle_time_ms: int = 0


# 22 InitProducerId


class InitProducerIdRequest(Request):
    api_key: ClassVar[int] = 22
    transactional_id: str | None = None
    transaction_timeout_ms: int = 60_000
    producer_id: int = -1
    producer_epoch: int = -1


class InitProducerIdResponse(Response):
    error_code: int = 0
    producer_id: int = -1
    producer_epoch: int = -1
    throttle_time_ms: int = 0


# 24 AddPartitionsToTxn


class AddPartitionsToTxnTopic(Message):
    name: str
    partitions: list[int] = []


class AddPartitionsToTxnTransaction(Message):
    transactional_id: str
    producer_id: int
    producer_epoch: int
    verify_only: bool = False
    topics: list[AddPartitionsToTxnTopic] = []


class AddPartitionsToTxnRequest(Request):
    """Versions below 4 carry one transaction; the codec makes it a list of one."""

    api_key: ClassVar[int] = 24
    transactions: list[AddPartitionsToTxnTransaction] = []


class AddPartitionsToTxnPartitionResult(Message):
    partition_index: int
    partition_error_code: int = 0


class AddPartitionsToTxnTopicResult(Message):
    name: str
    results_by_partition: list[AddPartitionsToTxnPartitionResult] = []


class AddPartitionsToTxnResult(Message):
    transactional_id: str
    topic_results: list[AddPartitionsToTxnTopicResult] = []


class AddPartitionsToTxnResponse(Response):
    error_code: int = 0
    results_by_transaction: list[AddPartitionsToTxnResult] = []
    throttle_time_ms: int = 0


# 25 AddOffsetsToTxn


class AddOffsetsToTxnRequest(Request):
    api_key: ClassVar[int] = 25
    transactional_id: str
    producer_id: int
    producer_epoch: int
    group_id: str


class AddOffsetsToTxnResponse(Response):
    error_code: int = 0
    throttle_time_ms: int = 0


# 26 EndTxn


class EndTxnRequest(Request):
    api_key: ClassVar[int] = 26
    transactional_id: str
    producer_id: int
    producer_epoch: int
    committed: bool


class EndTxnResponse(Response):
    error_code: int = 0
    producer_id: int = -1
    producer_epoch: int = -1
    throttle_time_ms: int = 0
    error_message: str | None = None  # ours, not sent: what the disk said


# 28 TxnOffsetCommit


class TxnOffsetCommitRequestPartition(Message):
    partition_index: int
    committed_offset: int
    committed_leader_epoch: int = -1
    committed_metadata: str | None = ""


class TxnOffsetCommitRequestTopic(Message):
    name: str
    partitions: list[TxnOffsetCommitRequestPartition] = []


class TxnOffsetCommitRequest(Request):
    api_key: ClassVar[int] = 28
    transactional_id: str
    group_id: str
    producer_id: int
    producer_epoch: int
    generation_id: int = -1
    member_id: str = ""
    group_instance_id: str | None = None
    topics: list[TxnOffsetCommitRequestTopic] = []


class TxnOffsetCommitResponsePartition(Message):
    partition_index: int
    error_code: int = 0


class TxnOffsetCommitResponseTopic(Message):
    name: str
    partitions: list[TxnOffsetCommitResponsePartition] = []


class TxnOffsetCommitResponse(Response):
    topics: list[TxnOffsetCommitResponseTopic] = []
    throttle_time_ms: int = 0


# 32 DescribeConfigs


class DescribeConfigsResource(Message):
    """`configuration_keys` is None for all."""

    resource_type: int
    resource_name: str
    configuration_keys: list[str] | None = None


class DescribeConfigsRequest(Request):
    api_key: ClassVar[int] = 32
    resources: list[DescribeConfigsResource] = []
    include_synonyms: bool = False
    include_documentation: bool = False


class DescribeConfigsSynonym(Message):
    name: str
    value: str | None
    source: int


class DescribeConfigsResourceResult(Message):
    name: str
    value: str | None
    read_only: bool = False
    config_source: int = -1
    is_sensitive: bool = False
    synonyms: list[DescribeConfigsSynonym] = []
    config_type: int = 0
    documentation: str | None = None


class DescribeConfigsResult(Message):
    resource_type: int
    resource_name: str
    error_code: int = 0
    error_message: str | None = None
    configs: list[DescribeConfigsResourceResult] = []


class DescribeConfigsResponse(Response):
    results: list[DescribeConfigsResult] = []
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


# 44 IncrementalAlterConfigs

OPERATION_SET = 0
OPERATION_DELETE = 1
OPERATION_APPEND = 2
OPERATION_SUBTRACT = 3


class AlterableConfig(Message):
    name: str
    config_operation: int = OPERATION_SET
    value: str | None = None


class AlterConfigsResource(Message):
    resource_type: int
    resource_name: str
    configs: list[AlterableConfig] = []


class IncrementalAlterConfigsRequest(Request):
    api_key: ClassVar[int] = 44
    resources: list[AlterConfigsResource] = []
    validate_only: bool = False


class AlterConfigsResourceResponse(Message):
    resource_type: int
    resource_name: str
    error_code: int = 0
    error_message: str | None = None


class IncrementalAlterConfigsResponse(Response):
    responses: list[AlterConfigsResourceResponse] = []
    throttle_time_ms: int = 0
