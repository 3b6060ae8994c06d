"""The transport to a broker in this process: requests are function calls, batches change hands without a copy.

A data folder is served by one broker, so everything in a process that names the same folder shares it: the first to
start opens it, the last to stop closes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker_embedded.cluster import Cluster, wall_clock_ms
from broker_embedded.config import BrokerConfig
from broker_embedded.errors import KafkaError, UnstableOffsetCommitError
from broker_embedded.errors import OffsetOutOfRangeError as OutOfRange
from broker_embedded.lock import FolderInUseError
from broker_embedded.wire.messages.groups import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from broker_embedded.wire.messages.records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
    FetchPartition,
    FetchRequest,
    FetchTopic,
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
    PartitionData,
)
from broker_embedded.wire.messages.topics import CreateTopicsRequest, DeleteTopicsRequest, DeleteTopicState
from streams.transport.contract import (
    Committed,
    Fetched,
    Isolation,
    OffsetOutOfRangeError,
    TopicInfo,
    TopicPartition,
    TopicSpec,
    TransportError,
)
from streams.transport.embedded.asks import InProcess
from streams.transport.embedded.producer import EmbeddedProducer
from streams.transport.embedded.rotation import Rotation
from streams.transport.embedded.shared_cluster import SharedCluster
from streams.transport.error_codes import as_transport_error, raise_for
from streams.transport.log_offsets import LogOffsets
from streams.transport.rows import ISOLATION, alter_topic, by_partition, by_topic, missing_topics, position_of

if TYPE_CHECKING:
    from broker_embedded.wire.messages import Request

__all__ = ["EmbeddedTransport", "FolderInUseError"]

_STABLE_WITHIN_MS = 60_000
# Kafka: an hour. What an app reads may carry the time of something to come, and the clocks of tests are virtual.
TOPIC_DEFAULTS = {"message.timestamp.after.max.ms": str(2**63 - 1)}


class EmbeddedTransport(LogOffsets):
    """A `Transport` over a data folder.

    `now_ms` and `config` are those of whoever opens the folder first. With `tick_interval_ms=None` nobody but the
    caller moves the broker's clockwork (`cluster.tick()`), as tests with virtual time want it.

    >>> import tempfile
    >>> from broker_embedded import records
    >>> async def main() -> list[bytes | None]:
    ...     transport = EmbeddedTransport(Path(tempfile.mkdtemp()))
    ...     await transport.start()
    ...     await transport.create([TopicSpec("flights", 1)])
    ...     producer = transport.producer(transactional_id="worker-0")
    ...     await producer.start()
    ...     await producer.begin()
    ...     flights = TopicPartition("flights", 0)
    ...     await producer.send(flights, records.encode([b"AA"], [b"delayed"], [0]))
    ...     await producer.commit()
    ...     fetched = await transport.fetch({flights: 0})
    ...     await transport.stop()
    ...     return records.decode(fetched[0].data[0]).values()
    >>> asyncio.run(main())
    [b'delayed']
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        config: BrokerConfig | None = None,
        now_ms: Callable[[], int] = wall_clock_ms,
        tick_interval_ms: int | None = 1000,
    ) -> None:
        self.data_dir = Path(data_dir).resolve()
        self._config = config or BrokerConfig(topic_defaults=TOPIC_DEFAULTS)
        self._now_ms = now_ms
        self._tick_interval_ms = tick_interval_ms
        self._shared: SharedCluster | None = None
        self._rotation = Rotation()

    @property
    def cluster(self) -> Cluster:
        """The broker. Raises TransportError before `start` and after `stop`."""
        if self._shared is None:
            raise TransportError(f"the transport to {self.data_dir} is not started: `await transport.start()` first")
        return self._shared.cluster

    @property
    def asks(self) -> InProcess:
        """For questions beyond the contract."""
        return InProcess(self.cluster)

    @property
    def address(self) -> str:
        found = next(iter(self.cluster.listeners.values()), None)
        if found is None:
            raise TransportError(f"the broker over {self.data_dir} does not listen: it was opened without a clock")
        return "{}:{}".format(*found)

    @property
    def security(self) -> Mapping[str, Any]:
        return {}

    async def start(self) -> None:
        """Open the folder, or share it with who has it open in this event loop.

        Raises FolderInUseError, and OpenElsewhereError where another loop of this process has it.
        """
        if self._shared is not None:
            return
        self._shared = await SharedCluster.acquire(
            self.data_dir,
            lambda: Cluster.open(self.data_dir, config=self._config, now_ms=self._now_ms),
            self._tick_interval_ms,
        )

    async def stop(self) -> None:
        """Let go; the last one closes the folder cleanly."""
        shared, self._shared = self._shared, None
        if shared is not None:
            await shared.release()

    # Topics

    async def topics(self) -> list[str]:
        return sorted(self.cluster.topics)

    async def describe(self, topics: Iterable[str]) -> dict[str, TopicInfo]:
        known = self.cluster.topics
        return {
            name: TopicInfo(name, str(known[name].id), known[name].partition_count, dict(known[name].configs))
            for name in topics
            if name in known
        }

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        known = self.cluster.topics
        there = {spec.name: known[spec.name].partition_count for spec in specs if spec.name in known}
        if rows := missing_topics([replace(spec, replication_factor=-1) for spec in specs], there):
            answer = await self._ask(CreateTopicsRequest(rows))
            for result in answer.topics:
                raise_for(result.error_code, f"topic {result.name!r}", result.error_message)

    async def delete(self, topics: Iterable[str]) -> None:
        known = self.cluster.topics
        rows = [DeleteTopicState(name) for name in topics if name in known]
        if rows:
            for result in (await self._ask(DeleteTopicsRequest(rows))).responses:
                raise_for(result.error_code, f"topic {result.name!r}", result.error_message)

    async def alter(self, topic: str, configs: Mapping[str, str]) -> None:
        for result in (await self._ask(alter_topic(topic, configs))).responses:
            raise_for(result.error_code, f"topic {topic!r}", result.error_message)

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        rows = [DeleteRecordsTopic(tp.topic, [DeleteRecordsPartition(tp.partition, before[tp])]) for tp in before]
        for tp, row in by_partition((await self._ask(DeleteRecordsRequest(rows))).topics):
            raise_for(row.error_code, str(tp))

    # Offsets

    async def list_offsets(
        self, tps: Iterable[TopicPartition], timestamp: int, isolation: Isolation = "read_committed"
    ) -> dict[TopicPartition, int]:
        rows = [ListOffsetsTopic(tp.topic, [ListOffsetsPartition(tp.partition, timestamp)]) for tp in tps]
        answer = await self._ask(ListOffsetsRequest(isolation_level=ISOLATION[isolation], topics=rows))
        offsets = {}
        for tp, row in by_partition(answer.topics):
            raise_for(row.error_code, str(tp))
            offsets[tp] = row.offset
        return offsets

    async def committed(self, group: str, tps: Iterable[TopicPartition]) -> dict[TopicPartition, Committed | None]:
        rows = [OffsetFetchRequestTopics(topic, None, partitions) for topic, partitions in by_topic(tps).items()]
        request = OffsetFetchRequest([OffsetFetchRequestGroup(group, topics=rows)], require_stable=True)
        answer = await self._when_stable(group, request)
        offsets: dict[TopicPartition, Committed | None] = {}
        for tp, row in by_partition(answer.groups[0].topics):
            raise_for(row.error_code, f"group {group!r}, {tp}")
            offsets[tp] = position_of(row)
        return offsets

    async def _when_stable(self, group: str, request: OffsetFetchRequest) -> OffsetFetchResponse:
        decided = asyncio.Event()
        unsubscribe = self.cluster.progress.watch(*self.cluster.offsets.partition_of(group), decided.set)
        try:
            async with asyncio.timeout(_STABLE_WITHIN_MS / 1000):
                while True:
                    answer: OffsetFetchResponse = await self._ask(request)
                    rows = by_partition(answer.groups[0].topics)
                    if all(row.error_code != UnstableOffsetCommitError.info.code for _, row in rows):
                        return answer
                    await decided.wait()
                    decided.clear()
        except TimeoutError:
            raise TransportError(
                f"offsets of group {group!r} are held by a transaction that is not decided for {_STABLE_WITHIN_MS} ms: "
                "is another worker of this group stuck, or was its transactional id changed?"
            ) from None
        finally:
            unsubscribe()

    # Batches

    async def fetch(
        self,
        positions: Mapping[TopicPartition, int],
        *,
        max_bytes: int = 16 << 20,
        partition_max_bytes: int = 1 << 20,
        isolation: Isolation = "read_committed",
        wait_ms: int = 0,
    ) -> list[Fetched]:
        request = FetchRequest(
            max_wait_ms=wait_ms,
            max_bytes=max_bytes,
            isolation_level=ISOLATION[isolation],
            topics=[
                FetchTopic(tp.topic, None, [FetchPartition(tp.partition, offset, partition_max_bytes)])
                for tp, offset in self._rotation.next(list(positions.items()))
            ],
        )
        answer = await self._ask(request)
        fetched = []
        for topic in answer.responses:
            for row in topic.partitions:
                tp = TopicPartition(topic.topic, row.partition_index)
                if row.error_code:
                    self._raise_fetch_error(tp, positions[tp], row.error_code)
                if row.next_offset > positions[tp]:
                    fetched.append(_fetched(tp, positions[tp], row))
        return fetched

    def _raise_fetch_error(self, tp: TopicPartition, offset: int, code: int) -> None:
        source = self.cluster.find_log(*tp)
        if source is not None and code == OutOfRange.info.code:
            raise OffsetOutOfRangeError(tp, offset, source.log_start_offset, source.log_end_offset)
        raise_for(code, str(tp))

    def producer(
        self, *, transactional_id: str | None = None, transaction_timeout_ms: int = 60_000
    ) -> EmbeddedProducer:
        return EmbeddedProducer(self.cluster.handle, transactional_id, transaction_timeout_ms)

    async def _ask(self, request: Request) -> Any:
        try:
            return await self.cluster.handle(request)
        except KafkaError as error:
            raise as_transport_error(error.code, f"broker over {self.data_dir}", str(error)) from error


def _fetched(tp: TopicPartition, start_offset: int, row: PartitionData) -> Fetched:
    return Fetched(
        tp,
        row.records,
        start_offset,
        row.next_offset,
        row.high_watermark,
        row.last_stable_offset,
        row.log_start_offset,
        [(entry.producer_id, entry.first_offset) for entry in row.aborted_transactions or ()],
    )
