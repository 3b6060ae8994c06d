"""Transactions: producer ids, what belongs to a transaction, its end, and what admins ask about them."""

from __future__ import annotations

from typing import ClassVar

from broker_embedded.wire.messages import Message, Request, Response

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


# 27 WriteTxnMarkers


class WritableTxnMarkerTopic(Message):
    name: str
    partition_indexes: list[int] = []


class WritableTxnMarker(Message):
    producer_id: int
    producer_epoch: int
    transaction_result: bool
    topics: list[WritableTxnMarkerTopic] = []
    coordinator_epoch: int = 0
    transaction_version: int = 0


class WriteTxnMarkersRequest(Request):
    api_key: ClassVar[int] = 27
    markers: list[WritableTxnMarker] = []


class WritableTxnMarkerPartitionResult(Message):
    partition_index: int
    error_code: int = 0


class WritableTxnMarkerTopicResult(Message):
    name: str
    partitions: list[WritableTxnMarkerPartitionResult] = []


class WritableTxnMarkerResult(Message):
    producer_id: int
    topics: list[WritableTxnMarkerTopicResult] = []


class WriteTxnMarkersResponse(Response):
    markers: list[WritableTxnMarkerResult] = []


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


# 61 DescribeProducers


class DescribeProducersTopicRequest(Message):
    name: str
    partition_indexes: list[int] = []


class DescribeProducersRequest(Request):
    api_key: ClassVar[int] = 61
    topics: list[DescribeProducersTopicRequest] = []


class ProducerState(Message):
    producer_id: int
    producer_epoch: int
    last_sequence: int = -1
    last_timestamp: int = -1
    coordinator_epoch: int = -1
    current_txn_start_offset: int = -1


class DescribeProducersPartitionResponse(Message):
    partition_index: int
    error_code: int = 0
    error_message: str | None = None
    active_producers: list[ProducerState] = []


class DescribeProducersTopicResponse(Message):
    name: str
    partitions: list[DescribeProducersPartitionResponse] = []


class DescribeProducersResponse(Response):
    topics: list[DescribeProducersTopicResponse] = []
    throttle_time_ms: int = 0


# 65 DescribeTransactions


class DescribeTransactionsRequest(Request):
    api_key: ClassVar[int] = 65
    transactional_ids: list[str] = []


class DescribeTransactionsTopicData(Message):
    topic: str
    partitions: list[int] = []


class DescribeTransactionsState(Message):
    transactional_id: str
    error_code: int = 0
    transaction_state: str = ""
    transaction_timeout_ms: int = 0
    transaction_start_time_ms: int = 0
    producer_id: int = 0
    producer_epoch: int = 0
    topics: list[DescribeTransactionsTopicData] = []


class DescribeTransactionsResponse(Response):
    transaction_states: list[DescribeTransactionsState] = []
    throttle_time_ms: int = 0


# 66 ListTransactions


class ListTransactionsRequest(Request):
    api_key: ClassVar[int] = 66
    state_filters: list[str] = []
    producer_id_filters: list[int] = []
    duration_filter: int = -1  # milliseconds; version 1+
    transactional_id_pattern: str | None = None  # version 2+


class ListTransactionsState(Message):
    transactional_id: str
    producer_id: int
    transaction_state: str


class ListTransactionsResponse(Response):
    error_code: int = 0
    unknown_state_filters: list[str] = []
    transaction_states: list[ListTransactionsState] = []
    throttle_time_ms: int = 0
