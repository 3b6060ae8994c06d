"""A clock to set, and a client that speaks in short calls to a cluster over a temporary folder."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from broker_embedded import records
from broker_embedded.cluster import Cluster
from broker_embedded.config import BrokerConfig
from broker_embedded.handlers import LOCAL, RequestContext
from broker_embedded.log.partition import PartitionLog
from broker_embedded.wire.messages.groups import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
)
from broker_embedded.wire.messages.records import (
    READ_COMMITTED,
    FetchPartition,
    FetchRequest,
    FetchTopic,
    PartitionData,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    TopicProduceData,
)
from broker_embedded.wire.messages.topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreatableTopicResult,
    CreateTopicsRequest,
)
from broker_embedded.wire.messages.transactions import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
    EndTxnRequest,
    InitProducerIdRequest,
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)

sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # the tests share what they run

NOW_MS = 1_700_000_000_000


@dataclass
class Clock:
    now: int = NOW_MS

    def __call__(self) -> int:
        return self.now


@dataclass
class Writer:
    """A producer's identity and its sequence numbers."""

    transactional_id: str | None
    producer_id: int
    epoch: int
    sequences: dict[tuple[str, int], int] = field(default_factory=dict)


@dataclass
class Client:
    """Short calls to a cluster. Those that may fail give the error code; reads give plain values."""

    cluster: Cluster
    clock: Clock

    async def create(self, name: str, partitions: int = 1, **configs: str) -> CreatableTopicResult:
        rows = [CreatableTopicConfig(key.replace("_", "."), value) for key, value in configs.items()]
        request = CreateTopicsRequest([CreatableTopic(name, partitions, configs=rows)])
        return (await self.cluster.handle(request)).topics[0]

    async def init(self, transactional_id: str | None = "t", **fields: Any) -> Writer:
        answer = await self.cluster.handle(InitProducerIdRequest(transactional_id, **fields))
        assert answer.error_code == 0
        return Writer(transactional_id, answer.producer_id, answer.producer_epoch)

    async def produce(
        self,
        topic: str,
        *values: str,
        partition: int = 0,
        writer: Writer | None = None,
        context: RequestContext = LOCAL,
        sequence: int | None = None,
    ) -> PartitionProduceResponse:
        batch = records.encode(
            [b"k"] * len(values), [value.encode() for value in values], [self.clock.now] * len(values)
        )
        transactional_id = None
        if writer is not None:
            transactional_id = writer.transactional_id
            if sequence is None:
                sequence = writer.sequences.get((topic, partition), 0)
            writer.sequences[topic, partition] = sequence + len(values)
            records.set_producer(
                batch,
                producer_id=writer.producer_id,
                producer_epoch=writer.epoch,
                base_sequence=sequence,
                is_transactional=transactional_id is not None,
            )
        data = TopicProduceData(topic, None, [PartitionProduceData(partition, batch)])
        answer = await self.cluster.handle(ProduceRequest(transactional_id, topic_data=[data]), context)
        row: PartitionProduceResponse = answer.responses[0].partition_responses[0]
        return row

    async def send_offset(
        self,
        writer: Writer,
        group: str,
        topic: str,
        offset: int,
        partition: int = 0,
        context: RequestContext = LOCAL,
        **fields: Any,
    ) -> int:
        row = TxnOffsetCommitRequestTopic(topic, [TxnOffsetCommitRequestPartition(partition, offset)])
        who = (writer.transactional_id or "", group, writer.producer_id, writer.epoch)
        answer = await self.cluster.handle(TxnOffsetCommitRequest(*who, topics=[row], **fields), context)
        code: int = answer.topics[0].partitions[0].error_code
        return code

    async def add(self, writer: Writer, topic: str, *partitions: int, version: int = 3) -> list[int]:
        """AddPartitionsToTxn; a code for each partition."""
        rows = [AddPartitionsToTxnTopic(topic, list(partitions))]
        who = (writer.transactional_id or "", writer.producer_id, writer.epoch)
        request = AddPartitionsToTxnRequest([AddPartitionsToTxnTransaction(*who, topics=rows)])
        answer = await self.cluster.handle(request, RequestContext(version))
        found = answer.results_by_transaction[0].topic_results[0].results_by_partition
        return [row.partition_error_code for row in found]

    async def add_offsets(self, writer: Writer, group: str, version: int = 3) -> int:
        who = (writer.transactional_id or "", writer.producer_id, writer.epoch)
        code: int = (await self.cluster.handle(AddOffsetsToTxnRequest(*who, group), RequestContext(version))).error_code
        return code

    async def end(self, writer: Writer, commit: bool = True, context: RequestContext = LOCAL) -> int:
        """The writer goes on with the producer id and epoch it is given."""
        request = EndTxnRequest(writer.transactional_id or "", writer.producer_id, writer.epoch, commit)
        answer = await self.cluster.handle(request, context)
        code: int = answer.error_code
        if code == 0 and (answer.producer_id, answer.producer_epoch) != (writer.producer_id, writer.epoch):
            writer.producer_id, writer.epoch = answer.producer_id, answer.producer_epoch
            writer.sequences.clear()
        return code

    async def commit_offset(self, group: str, topic: str, offset: int, partition: int = 0) -> int:
        row = OffsetCommitRequestTopic(topic, None, [OffsetCommitRequestPartition(partition, offset)])
        code: int = (
            (await self.cluster.handle(OffsetCommitRequest(group, topics=[row]))).topics[0].partitions[0].error_code
        )
        return code

    async def offsets(self, group: str) -> dict[tuple[str, int], int]:
        answer = await self.cluster.handle(OffsetFetchRequest([OffsetFetchRequestGroup(group)]))
        return {
            (topic.name, row.partition_index): row.committed_offset
            for topic in answer.groups[0].topics
            for row in topic.partitions
        }

    async def fetch(self, topic: str, offset: int = 0, partition: int = 0, **fields: Any) -> PartitionData:
        fields = {"max_wait_ms": 0, "isolation_level": READ_COMMITTED} | fields
        rows = [FetchTopic(topic, None, [FetchPartition(partition, offset)])]
        row: PartitionData = (await self.cluster.handle(FetchRequest(topics=rows, **fields))).responses[0].partitions[0]
        return row

    def read(self, topic: str, partition: int = 0) -> list[str]:
        """What a read_committed reader sees, found out from the batches and nothing else: the tests' own oracle."""
        source = self.cluster.log(topic, partition)
        open_values: dict[int, list[tuple[int, str]]] = {}
        seen: list[tuple[int, str]] = []
        for header, batch in self.cluster.read_all(source):
            if header.is_control:
                ended = open_values.pop(header.producer_id, [])
                seen += ended if records.read_control(batch) else []
                continue
            columns = records.decode(batch)
            values = [(value or b"").decode() for value in columns.values()]
            rows = list(zip(columns.offsets.tolist(), values, strict=True))
            if header.is_transactional:
                open_values.setdefault(header.producer_id, []).extend(rows)
            else:
                seen += rows
        return [value for _, value in sorted(seen)]


class FailAt:
    """Lets `left` writes to logs happen; the next one raises."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int, error: BaseException) -> None:
        self.left = left
        self.error = error
        for name in ("append", "append_marker"):
            monkeypatch.setattr(PartitionLog, name, self._wrap(getattr(PartitionLog, name)))

    def _wrap(self, method: Any) -> Any:
        def write(log: PartitionLog, *args: Any, **kwargs: Any) -> Any:
            if self.left == 0:
                raise self.error
            self.left -= 1
            return method(log, *args, **kwargs)

        return write


class Folder:
    """Opens clusters over a folder and over copies of it: a copy is what `kill -9` leaves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._copies = count(1)
        self._opened: list[Cluster] = []
        self.clock = Clock()

    def open(self, **config: Any) -> Client:
        cluster = Cluster.open(self.path, config=BrokerConfig(**config), now_ms=self.clock)
        self._opened.append(cluster)
        return Client(cluster, self.clock)

    def kill(self) -> None:
        """Go on with a copy; the cluster over the old folder knows nothing of it."""
        copy = self.path.with_name(f"{self.path.name.partition('~')[0]}~{next(self._copies)}")
        shutil.copytree(self.path, copy)
        self.path = copy

    async def close(self) -> None:
        for cluster in self._opened:
            await cluster.close()


@pytest.fixture
async def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Folder]:
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # what is tested is when it is called; a power cut is not
    opened = Folder(tmp_path / "data")
    yield opened
    await opened.close()


@pytest.fixture
def make_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Folder]:
    """For tests that need a folder per example; they close what they open."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    numbers = count()
    return lambda: Folder(tmp_path / f"data-{next(numbers)}")


@pytest.fixture
def fail_at() -> Callable[[int, BaseException], AbstractContextManager[FailAt]]:
    """`with fail_at(n, error):` n writes to logs happen, the next raises."""

    @contextmanager
    def failing(left: int, error: BaseException) -> Iterator[FailAt]:
        with pytest.MonkeyPatch.context() as patch:
            yield FailAt(patch, left, error)

    return failing


@pytest.fixture
def client(folder: Folder) -> Client:
    return folder.open()
