"""Records and their offsets: Produce, Fetch, ListOffsets, DeleteRecords, OffsetForLeaderEpoch."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from broker_embedded.wire.messages import Buffer, Message, Request, Response

LATEST_TIMESTAMP = -1
EARLIEST_TIMESTAMP = -2
MAX_TIMESTAMP = -3
EARLIEST_LOCAL_TIMESTAMP = -4
LATEST_TIERED_TIMESTAMP = -5
EARLIEST_PENDING_UPLOAD_TIMESTAMP = -6
READ_UNCOMMITTED = 0
READ_COMMITTED = 1


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
    topic: str = ""
    topic_id: UUID | None = None
    partitions: list[FetchPartition] = []


class ForgottenTopic(Message):
    topic: str = ""
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


class DivergingEpoch(Message):
    epoch: int = -1
    end_offset: int = -1


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
    next_offset: int = -1  # ours, not sent: the offset after the last batch, so that nobody here has to parse for it
    diverging_epoch: DivergingEpoch | None = None


class FetchableTopicResponse(Message):
    topic: str = ""
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


# 23 OffsetForLeaderEpoch


class OffsetForLeaderPartition(Message):
    partition: int
    leader_epoch: int
    current_leader_epoch: int = -1


class OffsetForLeaderTopic(Message):
    topic: str
    partitions: list[OffsetForLeaderPartition] = []


class OffsetForLeaderEpochRequest(Request):
    api_key: ClassVar[int] = 23
    replica_id: int = -2
    topics: list[OffsetForLeaderTopic] = []


class EpochEndOffset(Message):
    partition: int
    error_code: int = 0
    leader_epoch: int = -1
    end_offset: int = -1


class OffsetForLeaderTopicResult(Message):
    topic: str
    partitions: list[EpochEndOffset] = []


class OffsetForLeaderEpochResponse(Response):
    topics: list[OffsetForLeaderTopicResult] = []
    throttle_time_ms: int = 0
