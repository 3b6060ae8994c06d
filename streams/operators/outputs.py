"""What a task has to write: records by topic and partition, in order, until the transaction takes them.

Keys and values arrive as bytes. `drain` gives them as encoded record batches; the runtime sends those in its
transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from broker_embedded import records
from streams.batch import Headers
from streams.partitioner import partitions_for
from streams.transport.contract import TopicPartition

BATCH_RECORDS_MAX = 10_000
BATCH_BYTES_MAX = 900_000
"""Below Kafka's default `max.message.bytes` (1,048,588)."""
RECORD_OVERHEAD_BYTES = 30


@dataclass(slots=True)
class _Lane:
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    headers: list[Headers] | None = None

    def extend(
        self,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None,
    ) -> None:
        if headers is not None and self.headers is None:
            self.headers = [()] * len(self.keys)
        if self.headers is not None:
            self.headers.extend(headers if headers is not None else [()] * len(keys))
        self.keys.extend(keys)
        self.values.extend(values)
        self.timestamps.extend(timestamps)


class Outputs:
    """Records waiting to be sent. `partitions` and `codec` tell a topic's partition count and compression."""

    def __init__(self, partitions: Callable[[str], int], codec: Callable[[str], str]) -> None:
        self._partitions = partitions
        self._codec = codec
        self._lanes: dict[TopicPartition, _Lane] = {}
        self._round_robin = 0
        self.pending_records = 0

    def add(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
        *,
        partition: int | None = None,
    ) -> None:
        """Records for a topic, spread over its partitions by key (murmur2, as Kafka's clients do) unless `partition`
        is given.
        """
        self.pending_records += len(keys)
        count = self._partitions(topic)
        if partition is None and count == 1:
            partition = 0
        if partition is not None:
            self._lane(topic, partition).extend(keys, values, timestamps, headers)
            return
        lanes = self._chosen(keys, count)
        for number in sorted(set(lanes)):
            rows = [row for row, lane in enumerate(lanes) if lane == number]
            self._lane(topic, number).extend(
                [keys[row] for row in rows],
                [values[row] for row in rows],
                [timestamps[row] for row in rows],
                None if headers is None else [headers[row] for row in rows],
            )

    def _chosen(self, keys: Sequence[bytes | None], count: int) -> list[int]:
        """The partition of each key; records without a key stay together, one partition a call in turn."""
        if None not in keys:
            return partitions_for(keys, count).tolist()  # type: ignore[arg-type, no-any-return]
        self._round_robin = (self._round_robin + 1) % count
        by_key = iter(partitions_for([key for key in keys if key is not None], count).tolist())
        return [self._round_robin if key is None else next(by_key) for key in keys]

    def _lane(self, topic: str, partition: int) -> _Lane:
        return self._lanes.setdefault(TopicPartition(topic, partition), _Lane())

    def drain(self) -> Iterator[tuple[TopicPartition, bytearray, int]]:
        """Everything added so far as record batches, each with its number of records; what was handed out is
        forgotten.
        """
        lanes, self._lanes = self._lanes, {}
        self.pending_records = 0
        for tp, lane in lanes.items():
            codec = self._codec(tp.topic)
            for start, stop in _pieces(lane, 0, len(lane.keys)):
                headers = None if lane.headers is None else lane.headers[start:stop]
                yield (
                    tp,
                    records.encode(
                        lane.keys[start:stop],
                        lane.values[start:stop],
                        lane.timestamps[start:stop],
                        headers,
                        codec=codec,
                    ),
                    stop - start,
                )

    def clear(self) -> None:
        """Forgets everything: the transaction was aborted."""
        self._lanes.clear()
        self.pending_records = 0


def _pieces(lane: _Lane, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Ranges of a lane that each make one batch within the limits: halved until they fit."""
    count = stop - start
    fits = count <= BATCH_RECORDS_MAX and _size(lane, start, stop) + RECORD_OVERHEAD_BYTES * count <= BATCH_BYTES_MAX
    if fits or count == 1:
        yield start, stop
        return
    middle = (start + stop) // 2
    yield from _pieces(lane, start, middle)
    yield from _pieces(lane, middle, stop)


def _size(lane: _Lane, start: int, stop: int) -> int:
    keys = sum(map(len, filter(None, lane.keys[start:stop])))
    values = sum(map(len, filter(None, lane.values[start:stop])))
    if lane.headers is None:
        return keys + values
    pairs = chain.from_iterable(lane.headers[start:stop])
    return keys + values + sum(len(name) + len(text or b"") + 10 for name, text in pairs)
