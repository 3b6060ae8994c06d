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
