"""The transport to a Kafka cluster, or to a broker of ours in another process: the same contract over the wire.

Record batches cross it as they are: what a fetch returns is views of the answer's bytes, what is produced was encoded
before. Everything is asked of the broker that leads or coordinates, and asked again where that moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from streams.transport.contract import Committed, Fetched, Isolation, TopicInfo, TopicPartition, TopicSpec
from streams.transport.kafka.connection import KafkaConnection
from streams.transport.kafka.fetcher import KafkaFetcher
from streams.transport.kafka.offsets import KafkaOffsets
from streams.transport.kafka.producer import KafkaProducer
from streams.transport.kafka.timing import Timing
from streams.transport.kafka.topics import KafkaTopics
from streams.transport.log_offsets import LogOffsets


class KafkaTransport(LogOffsets):
    """A `Transport` over the wire. `security` is what aiokafka's client takes.

    `timing` are fields of `Timing` by name. `find` and `cluster_id`: see `KafkaConnection`.

    >>> import asyncio
    >>> import broker_embedded
    >>> from broker_embedded import records
    >>> async def main(address: str) -> list[bytes | None]:
    ...     transport = KafkaTransport(address)
    ...     await transport.start()
    ...     await transport.create([TopicSpec("flights", 1)])
    ...     flights = TopicPartition("flights", 0)
    ...     producer = transport.producer()
    ...     await producer.start()
    ...     await producer.send(flights, records.encode([b"AA"], [b"delayed"], [0]))
    ...     fetched = await transport.fetch({flights: 0})
    ...     await transport.stop()
    ...     return records.decode(fetched[0].data[0]).values()
    >>> with broker_embedded.running() as broker:
    ...     asyncio.run(main(broker.bootstrap_servers))
    [b'delayed']
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        client_id: str = "streams",
        security: Mapping[str, Any] | None = None,
        find: Callable[[], str] | None = None,
        cluster_id: str | None = None,
        **timing: int,
    ) -> None:
        times = Timing(**timing)
        self.connection = KafkaConnection(
            bootstrap_servers,
            client_id=client_id,
            timing=times,
            security=security,
            find=find,
            cluster_id=cluster_id,
        )
        self._topics = KafkaTopics(self.connection)
        self._offsets = KafkaOffsets(self.connection)
        self._fetcher = KafkaFetcher(self.connection, self._offsets, longest_wait_ms=times.request_timeout_ms // 2)

    @property
    def asks(self) -> KafkaConnection:
        """For questions beyond the contract."""
        return self.connection

    @property
    def address(self) -> str:
        return self.connection.bootstrap_servers

    @property
    def security(self) -> Mapping[str, Any]:
        return self.connection.security

    async def start(self) -> None:
        """Connect. Raises ConnectionLostError when no broker answers."""
        await self.connection.start()
        self._fetcher.start()

    async def stop(self) -> None:
        await self._fetcher.stop()
        await self.connection.stop()

    # Topics

    async def topics(self) -> list[str]:
        return await self._topics.names()

    async def describe(self, topics: Iterable[str]) -> dict[str, TopicInfo]:
        return await self._topics.describe(topics)

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        await self._topics.create(specs)

    async def delete(self, topics: Iterable[str]) -> None:
        await self._topics.delete(topics)

    async def alter(self, topic: str, configs: Mapping[str, str]) -> None:
        await self._topics.alter(topic, configs)

    # Offsets

    async def list_offsets(
        self, tps: Iterable[TopicPartition], timestamp: int, isolation: Isolation = "read_committed"
    ) -> dict[TopicPartition, int]:
        return await self._offsets.list_offsets(tps, timestamp, isolation)

    async def committed(self, group: str, tps: Iterable[TopicPartition]) -> dict[TopicPartition, Committed | None]:
        return await self._offsets.committed(group, tps)

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        await self._offsets.delete_records(before)

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
        return await self._fetcher.fetch(
            positions,
            max_bytes=max_bytes,
            partition_max_bytes=partition_max_bytes,
            isolation=isolation,
            wait_ms=wait_ms,
        )

    def producer(self, *, transactional_id: str | None = None, transaction_timeout_ms: int = 60_000) -> KafkaProducer:
        return KafkaProducer(self.connection, transactional_id, transaction_timeout_ms)
