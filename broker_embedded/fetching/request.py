"""One Fetch on its way: which partitions it has looked at, what they gave, and whether that is enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from broker_embedded.errors import (
    FencedLeaderEpochError,
    InconsistentTopicIdError,
    KafkaError,
    OffsetOutOfRangeError,
    UnknownLeaderEpochError,
    UnknownTopicIdError,
    UnknownTopicOrPartitionError,
    UnsupportedCompressionTypeError,
)
from broker_embedded.fetching.sessions import FetchedPartition, FetchSession, topic_name
from broker_embedded.wire.messages.records import (
    READ_COMMITTED,
    AbortedTransaction,
    DivergingEpoch,
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    PartitionData,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster
    from broker_embedded.log.partition import PartitionLog

_ZSTD: Final = 10  # the first version in which records may be packed with it


class Fetching:
    """Looks at partitions, and again at those in which something has happened."""

    def __init__(self, cluster: Cluster, request: FetchRequest, session: FetchSession | None, version: int) -> None:
        self._cluster = cluster
        self._request = request
        self._session = session
        self._version = version
        self._is_committed = request.isolation_level == READ_COMMITTED
        self._is_full = session is None or request.session_epoch == 0
        self._found: dict[FetchedPartition, PartitionData] = {}
        self._size_bytes = 0
        self._has_failed = False
        self._partitions = [] if session is not None else list(self._asked_for())
        self._progressed: dict[FetchedPartition, None] = dict.fromkeys(self._partitions)
        self._unsubscribes: list[Callable[[], None]] = []

    def _asked_for(self) -> Iterable[FetchedPartition]:
        for topic in self._request.topics:
            name = topic_name(self._cluster, topic.topic, topic.topic_id)
            for row in topic.partitions:
                yield FetchedPartition(name, topic.topic_id, row)

    def look(self) -> bool:
        """Look where something may have changed; whether it need not wait longer."""
        session = self._session
        if session is None:
            due, self._progressed = list(self._progressed), {}
        else:
            due = list(session.due.values())
        for partition in due:
            self._look_at(partition)
        return self._has_failed or self._size_bytes >= self._request.min_bytes or not (self._partitions or session)

    def _look_at(self, partition: FetchedPartition) -> None:
        before = self._found.pop(partition, None)
        if before is not None:
            self._size_bytes -= sum(map(len, before.records))
        try:
            data, is_idle = self._read(partition)
            self._has_failed |= data.diverging_epoch is not None
        except KafkaError as error:
            data, is_idle = _refused(partition, error), False
            self._has_failed = True
        self._found[partition] = data
        self._size_bytes += sum(map(len, data.records))
        if self._session is not None:
            self._session.looked_at(partition, is_idle=is_idle, gave_records=bool(data.records))

    def _read(self, partition: FetchedPartition) -> tuple[PartitionData, bool]:
        """The row of a partition, and whether there will be nothing new until something happens there."""
        row = partition.row
        source = self._source(partition)
        diverging = (
            _diverging(source, row.last_fetched_epoch, row.fetch_offset) if row.last_fetched_epoch >= 0 else None
        )
        if diverging is not None:
            ends = source.high_watermark, source.last_stable_offset, source.log_start_offset
            return PartitionData(row.partition, 0, *ends, diverging_epoch=diverging), False
        committed = self._is_committed
        result = source.read(
            row.fetch_offset,
            min(row.partition_max_bytes, max(0, self._request.max_bytes - self._size_bytes)),
            isolation="read_committed" if committed else "read_uncommitted",
            at_least_one=self._size_bytes == 0,
        )
        data = PartitionData(
            row.partition,
            0,
            result.high_watermark,
            result.last_stable_offset,
            result.log_start_offset,
            [AbortedTransaction(*pair) for pair in result.aborted] if committed else None,
            records=result.data,
            next_offset=result.next_offset,
        )
        end = result.last_stable_offset if committed else result.high_watermark
        return data, row.fetch_offset >= end

    def _source(self, partition: FetchedPartition) -> PartitionLog:
        """Raises what stands in the way of reading at all."""
        if not partition.topic and self._session is not None:
            self._session.resolve(self._cluster, partition)
        if not partition.topic:
            raise UnknownTopicIdError(f"no topic has id {partition.topic_id}")
        source = self._cluster.log(partition.topic, partition.row.partition)
        if partition.topic_id is not None and partition.topic_id != source.topic_id:
            raise InconsistentTopicIdError(f"topic {partition.topic!r} was made again, with another id")
        check_leader_epoch(source, partition.row.current_leader_epoch)
        if self._version < _ZSTD and source.config.compression_type == "zstd":
            raise UnsupportedCompressionTypeError(f"zstd wants version {_ZSTD} of Fetch, here is {self._version}")
        return source

    def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` when it is worth to `look` again."""
        if self._session is not None:
            self._session.wake = wake
            return
        for partition in self._partitions:
            if partition.topic:
                key = partition.topic, partition.row.partition
                self._unsubscribes.append(self._cluster.progress.watch(*key, self._waking(partition, wake)))

    def _waking(self, partition: FetchedPartition, wake: Callable[[], None]) -> Callable[[], None]:
        def progressed() -> None:
            self._progressed[partition] = None
            wake()

        return progressed

    def stop_watching(self) -> None:
        if self._session is not None:
            self._session.wake = None
        for unsubscribe in self._unsubscribes:
            unsubscribe()
        self._unsubscribes.clear()

    def response(self) -> FetchResponse:
        """What was found; to a session that is not new, only what the client does not know."""
        session = self._session
        response = FetchResponse(0, 0 if session is None else session.id)
        rows: Iterable[FetchedPartition] = self._partitions if session is None else list(self._found)
        topics: dict[object, FetchableTopicResponse] = {}
        for partition in rows:
            data = self._found[partition]
            if session is not None and not (partition.has_news(data) or self._is_full):
                continue
            key = partition.topic_id or partition.topic
            answer = topics.get(key)
            if answer is None:
                name = "" if partition.topic_id is not None else partition.topic
                answer = topics[key] = FetchableTopicResponse(name, partition.topic_id)
                response.responses.append(answer)
            answer.partitions.append(data)
        return response


def check_leader_epoch(source: PartitionLog, epoch: int) -> None:
    """Raise FencedLeaderEpochError or UnknownLeaderEpochError unless `epoch` is the leader's, or -1 (KIP-320)."""
    if epoch < 0 or epoch == source.leader_epoch:
        return
    where = f"{source.topic}-{source.partition}"
    if epoch < source.leader_epoch:
        raise FencedLeaderEpochError(f"{where}: the leader's epoch is {source.leader_epoch}, the request says {epoch}")
    raise UnknownLeaderEpochError(f"{where}: the leader's epoch is {source.leader_epoch}, the request says {epoch}")


def _refused(partition: FetchedPartition, error: KafkaError) -> PartitionData:
    """As Kafka: what is refused before the log is asked has an empty list of aborted transactions, else it is null."""
    before = isinstance(error, (UnknownTopicIdError, UnknownTopicOrPartitionError, UnsupportedCompressionTypeError))
    return PartitionData(partition.row.partition, error.code, aborted_transactions=[] if before else None)


def _diverging(source: PartitionLog, epoch: int, offset: int) -> DivergingEpoch | None:
    """Where the log parts from the one that a client has read up to `offset`, in `epoch` at the end."""
    found, end_offset = source.epochs.end_offset(epoch, source.log_end_offset)
    if found < 0:
        raise OffsetOutOfRangeError(f"{source.topic}-{source.partition}: nothing is known of leader epoch {epoch}")
    if offset < source.log_start_offset:
        return None  # the read says that it is out of range
    return DivergingEpoch(found, end_offset) if found < epoch or end_offset < offset else None
