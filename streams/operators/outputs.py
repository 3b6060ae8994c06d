"""What a task has to write: records by topic and partition, in order, until the transaction takes them.

Keys and values arrive as bytes. `drain` gives them as encoded record batches; the runtime sends those in its
transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from streams.arrays import Int64Array
from streams.batch import Headers
from streams.kernels import compiled
from streams.lane import Lane
from streams.partitioner import partitions_for
from streams.spans import Spans
from streams.transport.contract import TopicPartition


class Outputs:
    """Records waiting to be sent. `partitions` and `codec` tell a topic's partition count and compression."""

    def __init__(self, partitions: Callable[[str], int], codec: Callable[[str], str]) -> None:
        self._partitions = partitions
        self._codec = codec
        self._lanes: dict[TopicPartition, Lane] = {}
        self._round_robin = 0
        self.pending_records = 0

    def partitions(self, topic: str) -> int:
        """How many a topic has."""
        return self._partitions(topic)

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
        if not keys:
            return
        if partition is None and count == 1:
            partition = 0
        if partition is not None:
            self._lane(topic, partition).extend(keys, values, timestamps, headers)
            return
        lanes = self._chosen(keys, count)
        if bool((lanes == lanes[0]).all()):
            # What comes from one partition mostly goes to one: keys are kept, and spread alike.
            self._lane(topic, int(lanes[0])).extend(keys, values, timestamps, headers)
            return
        for number in np.unique(lanes).tolist():
            rows = np.flatnonzero(lanes == number).tolist()
            self._lane(topic, number).extend(
                [keys[row] for row in rows],
                [values[row] for row in rows],
                [timestamps[row] for row in rows],
                None if headers is None else [headers[row] for row in rows],
            )

    def add_spans(
        self,
        topic: str,
        keys: Spans,
        values: Spans,
        timestamps: Int64Array,
        partition: int | None = None,
    ) -> None:
        """Records without headers for a topic, as `add`, with keys and values as spans."""
        rows = len(timestamps)
        if not rows:
            return
        self.pending_records += rows
        count = self._partitions(topic)
        if partition is None and count > 1:
            lanes = self._chosen_of(keys, count)
            if bool((lanes != lanes[0]).any()):
                for number in np.unique(lanes).tolist():
                    mask = lanes == number
                    self._lane(topic, number).add_spans(keys.rows(mask), values.rows(mask), timestamps[mask])
                return
            partition = int(lanes[0])
        self._lane(topic, partition or 0).add_spans(keys, values, timestamps)

    def _chosen(self, keys: Sequence[bytes | None], count: int) -> npt.NDArray[np.int64]:
        """The partition of each key; records without a key stay together, one partition a call in turn."""
        if compiled.ready(len(keys)):
            return self._chosen_of(Spans.of(keys), count)
        if None not in keys:
            return partitions_for(keys, count)  # type: ignore[arg-type]  # none of them is None
        self._round_robin = (self._round_robin + 1) % count
        chosen = np.full(len(keys), self._round_robin, np.int64)
        keyed = [row for row, key in enumerate(keys) if key is not None]
        chosen[keyed] = partitions_for([key for key in keys if key is not None], count)
        return chosen

    def _chosen_of(self, keys: Spans, count: int) -> npt.NDArray[np.int64]:
        if not compiled.ready():
            return self._chosen(keys.cut(), count)
        from streams.kernels.compiled.partitioner import partitions_of

        chosen = partitions_of(keys, count)
        keyless = chosen < 0
        if keyless.any():
            self._round_robin = (self._round_robin + 1) % count
            chosen[keyless] = self._round_robin
        return chosen

    def _lane(self, topic: str, partition: int) -> Lane:
        return self._lanes.setdefault(TopicPartition(topic, partition), Lane())

    def take(self, other: Outputs) -> None:
        """What waits in `other`, behind what waits here; nothing waits there then."""
        for tp, lane in other._lanes.items():
            here = self._lanes.setdefault(tp, lane)
            if here is not lane:
                here.take(lane)
        self.pending_records += other.pending_records
        other._lanes, other.pending_records = {}, 0

    def drain(self, without: Collection[str] = ()) -> Iterator[tuple[TopicPartition, bytearray, int]]:
        """Everything added so far as record batches, each with its number of records; what was handed out is
        forgotten. What is for the topics `without` stays.
        """
        lanes, self._lanes = self._lanes, {}
        self.pending_records = 0
        for tp, lane in lanes.items():
            if tp.topic in without:
                self._lanes[tp] = lane
                self.pending_records += len(lane)
        for tp, lane in lanes.items():
            if tp.topic in without:
                continue
            codec = self._codec(tp.topic)
            for batch, count in lane.batches(codec):
                yield tp, batch, count
