"""Records as a test writes and reads them, and their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from broker_embedded import records
from streams.errors import DecodeError, StreamsError
from streams.graph.definitions import TopicDef
from streams.graph.nodes import AggregateNode, Node, SinkNode
from streams.graph.plan import Graph
from streams.partitioner import partition_for
from streams.serde import Serde, key_serde_for, serde_for
from streams.transport.contract import TopicPartition
from streams.windows import Windowed

Headers = Sequence[tuple[str, bytes | None]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TopicRecord(NamedTuple):
    """A record of a topic. Going in, a `timestamp` (ms) of None is the clock's time; a key or value may be None.

    >>> TopicRecord("AA", 1, 0) == ("AA", 1, 0, ())
    True
    """

    key: Any = None
    value: Any = None
    timestamp: int | None = None
    headers: Headers = ()


class TopicForm:
    """The bytes of a topic's records, both ways."""

    def __init__(self, topic: TopicDef, graph: Graph) -> None:
        self._topic = topic
        key_type = Windowed if topic.key_type is None and _is_windowed(topic, graph) else topic.key_type
        self._keys: Serde[Any] = key_serde_for(key_type)
        self._values: Serde[Any] = serde_for(topic.value_type)
        self._next = 0

    def encode(
        self, rows: Iterable[TopicRecord], partitions: int, partition: int | None, now_ms: int
    ) -> dict[TopicPartition, bytearray]:
        """One batch for each partition that gets any. Keys choose the partition as Kafka's clients do; records without
        one go round.
        """
        lanes: dict[int, list[tuple[bytes | None, bytes | None, int, Headers]]] = {}
        for row in rows:
            key = None if row.key is None else self._keys.encode(row.key)
            value = None if row.value is None else self._values.encode_row(row.value, row.headers)
            number = self._partition(key, partitions) if partition is None else partition
            time = now_ms if row.timestamp is None else _ms(row.timestamp)
            lanes.setdefault(number, []).append((key, value, time, tuple(row.headers)))
        return {TopicPartition(self._topic.name, number): _batch(lane) for number, lane in lanes.items()}

    def _partition(self, key: bytes | None, partitions: int) -> int:
        if partitions == 1:
            return 0
        if key is None:
            self._next = (self._next + 1) % partitions
            return self._next
        return partition_for(key, partitions)

    def decode(self, batch: memoryview) -> Iterator[TopicRecord]:
        """The records of a batch; what an internal topic has besides data is left out."""
        part = records.decode(batch)
        headers = part.headers() if part.has_headers else [[]] * len(part)
        for key, value, time, row in zip(part.keys(), part.values(), part.timestamps.tolist(), headers, strict=True):
            if key is not None or not self._topic.internal:
                yield TopicRecord(
                    self._decoded("key", self._keys, key),
                    self._decoded("value", self._values, value, row),
                    time,
                    tuple(row),
                )

    def _decoded(self, part: str, serde: Serde[Any], data: bytes | None, headers: Headers = ()) -> Any:
        try:
            return None if data is None else serde.decode_row(data, headers)
        except Exception as error:
            raise DecodeError(
                f"the {part} {data!r} is not of the type that {self._topic.where} declares: {error}",
                topic=self._topic.name,
            ) from error


def rows_of(given: Iterable[Any]) -> list[TopicRecord]:
    """Records as given: `TopicRecord`, or tuples (key, value[, timestamp[, headers]])."""
    rows: list[TopicRecord] = []
    for row in given:
        if not isinstance(row, tuple) or not 2 <= len(row) <= 4:
            raise StreamsError(f"a record is (key, value[, timestamp[, headers]]), not {row!r}")
        rows.append(row if isinstance(row, TopicRecord) else TopicRecord(*row))
    return rows


def _ms(timestamp: int | datetime) -> int:
    """A time as a record has it.

    >>> _ms(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000
    """
    if isinstance(timestamp, datetime) and timestamp.tzinfo is not None:
        return (timestamp - _EPOCH) // timedelta(milliseconds=1)
    if not isinstance(timestamp, int):
        raise StreamsError(f"timestamp={timestamp!r}: give ms since 1970, or a datetime with a time zone")
    return timestamp


def _batch(lane: list[tuple[bytes | None, bytes | None, int, Headers]]) -> bytearray:
    keys, values, times, headers = zip(*lane, strict=True)
    return records.encode(keys, values, times, headers if any(headers) else None)


def _is_windowed(topic: TopicDef, graph: Graph) -> bool:
    """Whether what the app writes there has the keys of a windowed table."""
    sinks = [node for node in graph.nodes if isinstance(node, SinkNode) and node.topic is topic]
    return bool(sinks) and all(_has_windows(sink) for sink in sinks)


def _has_windows(node: Node) -> bool:
    while not isinstance(node, AggregateNode):
        if len(node.parents) != 1 or node.kind in ("map", "flat_map", "select_key"):
            return False
        (node,) = node.parents
    return node.store.windowed
