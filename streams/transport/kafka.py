"""The transport to a Kafka cluster, or to a broker of ours in another process: the same contract over the wire.

Record batches cross it as they are: what a fetch returns is views of the answer's bytes, what is produced was encoded
before. Everything is asked of the broker that leads or coordinates, and asked again where that moves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from broker_embedded import records
from broker_embedded.errors import OffsetOutOfRangeError as OutOfRange
from broker_embedded.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, UnstableOffsetCommitError
from broker_embedded.wire.messages import Request
from broker_embedded.wire.messages.configs import (
    OPERATION_SET,
    RESOURCE_TOPIC,
    AlterableConfig,
    AlterConfigsResource,
    DescribeConfigsRequest,
    DescribeConfigsResource,
    IncrementalAlterConfigsRequest,
)
from broker_embedded.wire.messages.groups import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from broker_embedded.wire.messages.records import (
    EARLIEST_TIMESTAMP,
    LATEST_TIMESTAMP,
    READ_COMMITTED,
    READ_UNCOMMITTED,
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
from broker_embedded.wire.messages.topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    DeleteTopicState,
)
from streams.transport.contract import (
    Committed,
    Fetched,
    Isolation,
    OffsetOutOfRangeError,
    TopicInfo,
    TopicMismatchError,
    TopicPartition,
    TopicSpec,
)
from streams.transport.kafka_connection import KafkaConnection, KafkaTopic, RetryError, check, check_leader
from streams.transport.kafka_producer import KafkaProducer

_ISOLATION = {"read_uncommitted": READ_UNCOMMITTED, "read_committed": READ_COMMITTED}
Partitions = list[tuple[KafkaTopic, list[int]]]

_SET_ON_TOPIC = 1  # config source: DYNAMIC_TOPIC_CONFIG
_STABLE_WITHIN_S = 60.0


class KafkaTransport:
    """A `Transport` over the wire. `security` is what aiokafka's client takes.

    A request without an answer for `request_timeout_ms` is sent again, as is one whose error passes by itself, until
    `retry_timeout_ms` are over. `find` and `cluster_id`: see `KafkaConnection`.

    >>> import broker_embedded
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
        request_timeout_ms: int = 30_000,
        retry_timeout_ms: int = 60_000,
        security: Mapping[str, Any] | None = None,
        find: Callable[[], str] | None = None,
        cluster_id: str | None = None,
    ) -> None:
        self.connection = KafkaConnection(
            bootstrap_servers,
            client_id=client_id,
            request_timeout_ms=request_timeout_ms,
            retry_timeout_ms=retry_timeout_ms,
            security=security,
            find=find,
            cluster_id=cluster_id,
        )
        self._longest_wait_ms = request_timeout_ms // 2
        self._fetching: set[asyncio.Future[Any]] = set()
        self._lanes: list[str] = []
        self._lanes_made = 0
        self._turn = 0

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

    async def stop(self) -> None:
        fetching = set(self._fetching)
        await self.connection.stop()  # which ends what is asked
        if fetching:
            _, late = await asyncio.wait(fetching, timeout=1)
            for one in late:
                one.cancel()

    # Topics

    async def topics(self) -> list[str]:
        return sorted(row.name or "" for row in (await self.connection.metadata(None)).topics)

    async def describe(self, topics: Iterable[str]) -> dict[str, TopicInfo]:
        self.connection.forget()
        known = await self.connection.topics(topics)
        if not known:
            return {}
        request = DescribeConfigsRequest([DescribeConfigsResource(RESOURCE_TOPIC, name) for name in known])
        configs = {}
        for result in await self._retry(request, lambda answer: answer.results, lambda row: row.resource_name):
            rows = [row for row in result.configs if row.config_source == _SET_ON_TOPIC and row.value is not None]
            configs[result.resource_name] = {row.name: row.value for row in rows}
        return {
            name: TopicInfo(name, str(topic.id), len(topic.leaders), configs[name]) for name, topic in known.items()
        }

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        known = await self.connection.topics([spec.name for spec in specs])
        for spec in specs:
            found = known.get(spec.name)
            if found is not None and len(found.leaders) != spec.partitions:
                raise TopicMismatchError(spec.name, spec.partitions, len(found.leaders))
        rows = [_creatable(spec) for spec in specs if spec.name not in known]
        if not rows:
            return
        there = TopicAlreadyExistsError.info.code  # somebody else was faster
        await self._retry(CreateTopicsRequest(rows), lambda answer: answer.topics, lambda row: row.name, there)
        await self.connection.retry(lambda: self._see([row.name for row in rows]))

    async def _see(self, names: Sequence[str]) -> None:
        """Wait until the cluster knows new topics, and who leads them."""
        topics = await self.connection.topics(names)
        if len(topics) < len(set(names)) or any(-1 in topic.leaders.values() for topic in topics.values()):
            self.connection.forget()
            raise RetryError(f"topics {', '.join(names)} are being made")

    async def delete(self, topics: Iterable[str]) -> None:
        self.connection.forget()
        known = await self.connection.topics(topics)
        if known:
            request = DeleteTopicsRequest([DeleteTopicState(name) for name in known])
            gone = UnknownTopicOrPartitionError.info.code
            await self._retry(request, lambda answer: answer.responses, lambda row: row.name, gone)
            await self.connection.retry(lambda: self._miss(list(known)))

    async def _miss(self, names: Sequence[str]) -> None:
        self.connection.forget()
        if await self.connection.topics(names):
            raise RetryError(f"topics {', '.join(names)} are being deleted")

    async def alter(self, topic: str, configs: Mapping[str, str]) -> None:
        rows = [AlterableConfig(name, OPERATION_SET, value) for name, value in configs.items()]
        request = IncrementalAlterConfigsRequest([AlterConfigsResource(RESOURCE_TOPIC, topic, rows)])
        await self._retry(request, lambda answer: answer.responses, lambda row: topic)

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        def request(topics: Partitions) -> Request:
            return DeleteRecordsRequest(
                [
                    DeleteRecordsTopic(
                        topic.name,
                        [DeleteRecordsPartition(index, before[TopicPartition(topic.name, index)]) for index in indexes],
                    )
                    for topic, indexes in topics
                ]
            )

        async def ask() -> None:
            for answer in await self._ask_leaders(before, request):
                for topic in answer.topics:
                    for row in topic.partitions:
                        check_leader(row.error_code, f"{topic.name}-{row.partition_index}")

        await self.connection.retry(ask)

    async def _retry(
        self, request: Request, rows: Callable[[Any], list[Any]], name: Callable[[Any], str], fine: int = 0
    ) -> list[Any]:
        """The rows of an answer about topics, in which no error is left but the one that is fine."""

        async def ask() -> list[Any]:
            found = rows(await self.connection.ask(request))
            for row in found:
                if row.error_code != fine:
                    check(row.error_code, f"topic {name(row)!r}", row.error_message)
            return found

        return await self.connection.retry(ask)

    async def _ask_leaders(self, tps: Iterable[TopicPartition], request: Callable[[Partitions], Request]) -> list[Any]:
        """The answers of the leaders of `tps`, each asked about its own."""
        tps = list(tps)

        async def ask() -> list[Any]:
            leaders = await self.connection.by_leader(tps)
            asked = [self.connection.ask(request(topics), node=node) for node, topics in leaders.items()]
            return await asyncio.gather(*asked)

        return await self.connection.retry(ask)

    # Offsets

    async def earliest(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._list_offsets(tps, EARLIEST_TIMESTAMP)

    async def latest(
        self, tps: Iterable[TopicPartition], isolation: Isolation = "read_committed"
    ) -> dict[TopicPartition, int]:
        return await self._list_offsets(tps, LATEST_TIMESTAMP, isolation)

    async def at_time(self, tps: Iterable[TopicPartition], ms: int) -> dict[TopicPartition, int]:
        tps = list(tps)
        found = await self._list_offsets(tps, ms)
        missing = [tp for tp in tps if found[tp] < 0]
        return found | await self.latest(missing) if missing else found

    async def _list_offsets(
        self, tps: Iterable[TopicPartition], timestamp: int, isolation: Isolation = "read_committed"
    ) -> dict[TopicPartition, int]:
        def request(topics: Partitions) -> Request:
            rows = [
                ListOffsetsTopic(topic.name, [ListOffsetsPartition(index, timestamp) for index in indexes])
                for topic, indexes in topics
            ]
            return ListOffsetsRequest(isolation_level=_ISOLATION[isolation], topics=rows)

        tps = list(tps)

        async def ask() -> dict[TopicPartition, int]:
            offsets = {}
            for answer in await self._ask_leaders(tps, request):
                for topic in answer.topics:
                    for row in topic.partitions:
                        check_leader(row.error_code, f"{topic.name}-{row.partition_index}")
                        offsets[TopicPartition(topic.name, row.partition_index)] = row.offset
            return offsets

        return await self.connection.retry(ask)

    async def committed(self, group: str, tps: Iterable[TopicPartition]) -> dict[TopicPartition, Committed | None]:
        by_topic: dict[str, list[int]] = {}
        for topic, partition in tps:
            by_topic.setdefault(topic, []).append(partition)

        async def ask() -> dict[TopicPartition, Committed | None]:
            known = await self.connection.topics(by_topic)
            rows = [
                OffsetFetchRequestTopics(name, known[name].id if name in known else None, indexes)
                for name, indexes in by_topic.items()
            ]
            request = OffsetFetchRequest([OffsetFetchRequestGroup(group, topics=rows)], require_stable=True)
            # Version 10 has no names, and an unknown id there is an error where an unknown name is not.
            last_version = 10 if len(known) == len(by_topic) else 9
            answer = await self.connection.ask_coordinator(request, group, last_version=last_version)
            return _positions(group, answer, {topic.id: name for name, topic in known.items()})

        return await self.connection.retry(ask, timeout_s=_STABLE_WITHIN_S)

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
        def request(topics: Partitions) -> FetchRequest:
            return FetchRequest(
                max_wait_ms=min(wait_ms, self._longest_wait_ms),
                max_bytes=max_bytes,
                isolation_level=_ISOLATION[isolation],
                topics=[
                    FetchTopic(
                        topic.name,
                        topic.id,
                        [
                            FetchPartition(index, positions[TopicPartition(topic.name, index)], partition_max_bytes)
                            for index in indexes
                        ],
                    )
                    for topic, indexes in topics
                ],
            )

        async def ask() -> list[Fetched]:
            leaders = await self.connection.by_leader(self._in_turn(positions))
            asked = [
                self._fetch(node, request(topics), [topic for topic, _ in topics]) for node, topics in leaders.items()
            ]
            fetched = []
            for rows in await asyncio.gather(*asked):
                for tp, row in rows:
                    if row.error_code:
                        await self._raise_fetch_error(tp, positions[tp], row.error_code)
                    found = _fetched(tp, positions[tp], row)
                    if found.next_offset > positions[tp]:
                        fetched.append(found)
            return fetched

        return await self.connection.retry(ask)

    async def _fetch(
        self, node: int, request: FetchRequest, topics: Sequence[KafkaTopic]
    ) -> list[tuple[TopicPartition, PartitionData]]:
        """One fetch on a connection that no other fetch waits on."""
        if not self._lanes:
            self._lanes_made += 1
            self._lanes.append(f"fetch-{self._lanes_made}")
        lane = self._lanes.pop()

        def arrived(done: asyncio.Future[Any]) -> None:
            self._fetching.discard(done)
            self._lanes.append(lane)
            if not done.cancelled():
                done.exception()  # is raised below, unless nobody waits any more

        fetching = asyncio.ensure_future(self.connection.ask(request, node=node, lane=lane))
        self._fetching.add(fetching)
        fetching.add_done_callback(arrived)
        answer = await asyncio.shield(fetching)  # whoever gives up leaves the lane taken until the broker answers
        check_leader(answer.error_code, "fetch")
        names = {topic.id: topic.name for topic in topics}
        return [
            (TopicPartition(topic.topic or names[topic.topic_id], row.partition_index), row)
            for topic in answer.responses
            for row in topic.partitions
        ]

    def _in_turn(self, positions: Mapping[TopicPartition, int]) -> list[TopicPartition]:
        # Each partition is first once in a while, or the last of many would starve behind `max_bytes`.
        tps = list(positions)
        if tps:
            self._turn = (self._turn + 1) % len(tps)
        return tps[self._turn :] + tps[: self._turn]

    async def _raise_fetch_error(self, tp: TopicPartition, offset: int, code: int) -> None:
        if code == OutOfRange.info.code:
            earliest, latest = (await self.earliest([tp]))[tp], (await self.latest([tp], "read_uncommitted"))[tp]
            raise OffsetOutOfRangeError(tp, offset, earliest, latest)
        self.connection.forget()
        check_leader(code, str(tp))

    def producer(self, *, transactional_id: str | None = None, transaction_timeout_ms: int = 60_000) -> KafkaProducer:
        return KafkaProducer(self.connection, transactional_id, transaction_timeout_ms)


def _creatable(spec: TopicSpec) -> CreatableTopic:
    configs = [CreatableTopicConfig(*item) for item in spec.configs.items()]
    return CreatableTopic(spec.name, spec.partitions, configs=configs)


def _positions(
    group: str, answer: OffsetFetchResponse, names: Mapping[Any, str]
) -> dict[TopicPartition, Committed | None]:
    check(answer.groups[0].error_code, f"group {group!r}")
    offsets: dict[TopicPartition, Committed | None] = {}
    for topic in answer.groups[0].topics:
        name = topic.name or names[topic.topic_id]
        for row in topic.partitions:
            if row.error_code == UnstableOffsetCommitError.info.code:
                raise RetryError(
                    f"offsets of group {group!r} in {name}-{row.partition_index} are held by a transaction that is not "
                    "decided: is another worker of this group stuck, or was its transactional id changed?"
                )
            check_leader(row.error_code, f"group {group!r}, {name}-{row.partition_index}")
            position = Committed(row.committed_offset, row.metadata or "") if row.committed_offset >= 0 else None
            offsets[TopicPartition(name, row.partition_index)] = position
    return offsets


def _fetched(tp: TopicPartition, start: int, row: PartitionData) -> Fetched:
    """Whole batches only: the last one may have been cut by a limit."""
    data: Any = row.records
    end, next_offset = 0, start
    for header, _ in records.batches(data or b""):
        end += header.length_bytes
        next_offset = header.next_offset
    aborted = [(gone.producer_id, gone.first_offset) for gone in row.aborted_transactions or ()]
    return Fetched(
        tp,
        [data[:end]] if end else [],
        start,
        next_offset,
        row.high_watermark,
        row.last_stable_offset,
        row.log_start_offset,
        aborted,
    )
