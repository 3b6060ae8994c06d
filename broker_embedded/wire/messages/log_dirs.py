"""Log directories: AlterReplicaLogDirs, DescribeLogDirs."""

from __future__ import annotations

from typing import ClassVar

from broker_embedded.wire.messages import Message, Request, Response

# 34 AlterReplicaLogDirs


class AlterReplicaLogDirTopic(Message):
    name: str
    partitions: list[int] = []


class AlterReplicaLogDir(Message):
    path: str
    topics: list[AlterReplicaLogDirTopic] = []


class AlterReplicaLogDirsRequest(Request):
    api_key: ClassVar[int] = 34
    dirs: list[AlterReplicaLogDir] = []


class AlterReplicaLogDirPartitionResult(Message):
    partition_index: int
    error_code: int = 0


class AlterReplicaLogDirTopicResult(Message):
    topic_name: str
    partitions: list[AlterReplicaLogDirPartitionResult] = []


class AlterReplicaLogDirsResponse(Response):
    results: list[AlterReplicaLogDirTopicResult] = []
    throttle_time_ms: int = 0


# 35 DescribeLogDirs


class DescribableLogDirTopic(Message):
    topic: str
    partitions: list[int] = []


class DescribeLogDirsRequest(Request):
    """`topics` is None for all."""

    api_key: ClassVar[int] = 35
    topics: list[DescribableLogDirTopic] | None = None


class DescribeLogDirsPartition(Message):
    partition_index: int
    partition_size: int
    offset_lag: int = 0
    is_future_key: bool = False


class DescribeLogDirsTopic(Message):
    name: str
    partitions: list[DescribeLogDirsPartition] = []


class DescribeLogDirsResult(Message):
    log_dir: str
    error_code: int = 0
    topics: list[DescribeLogDirsTopic] = []
    total_bytes: int = -1
    usable_bytes: int = -1
    is_cordoned: bool = False


class DescribeLogDirsResponse(Response):
    results: list[DescribeLogDirsResult] = []
    error_code: int = 0
    throttle_time_ms: int = 0
