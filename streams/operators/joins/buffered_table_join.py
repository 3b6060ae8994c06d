"""join, left_join of a stream with a versioned table and `grace=`: each record waits until time has gone on by grace.

By then changes of the table that come late are there, and the record meets what was valid at its timestamp (KIP-923;
Kafka Streams' `KStreamKTableJoinProcessor` and `RocksDBTimeOrderedKeyValueBuffer`).

Time is the largest timestamp of a record that has waited. A record that is late by more than grace is joined at once;
those that wait leave by timestamp, of one timestamp by key bytes, of one key as they came. A record without a key meets
no row, whenever: with `left_join` it goes on at once (Kafka Streams fails there).

What waits is state: what is there at a commit stands in the buffer's store, under time, key and number.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any, NamedTuple

import msgspec
import numpy as np

from state.keys import time_prefix
from streams.batch import Batch, Headers
from streams.graph.nodes import BufferedTableJoinNode
from streams.operators.base import NO_TIME, Operator, TaskContext
from streams.operators.joins.joined_rows import JoinedRows
from streams.operators.stored import StoredForm
from streams.serde import key_serde_for


class Waiting(NamedTuple):
    """A record that waits. `place` orders them, and is the key in the store."""

    place: bytes
    key: Any
    value: Any
    timestamp: int
    headers: Headers
    offset: int


class BufferedTableJoinOperator(Operator[BufferedTableJoinNode]):
    def __init__(self, node: BufferedTableJoinNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._joined = JoinedRows(node, context)
        self._keys = key_serde_for(node.looked[0].key_type)
        self._form = StoredForm(node.buffer)
        self._heap: list[tuple[bytes, Waiting]] = []
        self._unsaved: dict[bytes, Waiting] = {}
        self._left: list[bytes] = []
        self._observed, self._number = NO_TIME, 0
        self._topic, self._value_type = "", node.buffer.value_type

    def open(self) -> None:
        self._observed, self._number = self.context.load_clock(self.node.name) or (NO_TIME, 0)
        with self.context.stores.key_value(self.node.buffer.name).scan() as rows:
            for place, payload, timestamp in rows:
                value, headers, offset, self._topic = msgspec.msgpack.decode(payload)
                key = self._keys.decode(place[8:-4])
                row = Waiting(place, key, self._form.decode(value), timestamp, [(k, v) for k, v in headers], offset)
                heappush(self._heap, (place, row))

    def process(self, batch: Batch) -> Batch | None:
        if not self.node.left:
            batch = self._joined.present(batch, "null_key", batch.key_bytes or batch.keys)
        batch = self._joined.present(batch, "null_value", batch.values)
        self._topic, self._value_type = batch.topic, batch.value_type
        leaving: list[Waiting] = []
        for row in self._arriving(batch):
            time = self.context.stream_time(self._observed)
            if not row.place or row.timestamp < time - self.node.grace_ms:
                leaving.append(row)
                continue
            self._observed = max(self._observed, row.timestamp)
            heappush(self._heap, (row.place, row))
            self._unsaved[row.place] = row
            leaving += self._over()
        return self._join(leaving)

    def advance(self) -> Batch | None:
        return self._join(list(self._over()))

    def _arriving(self, batch: Batch) -> Iterator[Waiting]:
        encoded = batch.encoded_keys(self._keys)
        headers: list[Headers] = batch.headers or [()] * len(batch)
        for (key, value, timestamp), key_bytes, own, offset in zip(
            batch.rows(), encoded, headers, batch.offsets.tolist(), strict=True
        ):
            self._number = (self._number + 1) & 0x7FFFFFFF
            place = b"" if key is None else time_prefix(timestamp) + key_bytes + self._number.to_bytes(4, "big")
            yield Waiting(place, key, value, timestamp, own, offset)

    def _over(self) -> Iterator[Waiting]:
        """Those whose time to wait is over, in the order in which they leave."""
        over = self.context.stream_time(self._observed) - self.node.grace_ms
        while self._heap and self._heap[0][1].timestamp <= over:
            place, row = heappop(self._heap)
            if self._unsaved.pop(place, None) is None:
                self._left.append(place)
            yield row

    def _join(self, rows: list[Waiting]) -> Batch | None:
        if not rows:
            return None
        batch = Batch(
            offsets=np.array([row.offset for row in rows], np.int64),
            timestamps=np.array([row.timestamp for row in rows], np.int64),
            keys=[row.key for row in rows],
            values=[row.value for row in rows],
            headers=[row.headers for row in rows] if any(row.headers for row in rows) else None,
            topic=self._topic,
            partition=self.context.partition,
            value_type=self._value_type,
        )
        found = self.context.operators[self.node.table.name].lookup_at(batch.keys, batch.timestamps.tolist())
        return self._joined.run(batch, [None if entry is None else entry[0] for entry in found])

    def save(self) -> Iterator[None]:
        """What has come and waits, and what has left since the last commit; what did both leaves no trace."""
        self.context.save_clock(self.node.name, [self._observed, self._number])
        stores, name, encode = self.context.stores, self.node.buffer.name, self._form.encode
        for row in self._unsaved.values():
            kept = msgspec.msgpack.encode([encode(row.value), row.headers, row.offset, self._topic])
            stores.put(name, row.place, kept, row.timestamp)
        over = max(0, self.context.stream_time(self._observed))
        for place in self._left:
            stores.put(name, place, None, over)
        self._unsaved, self._left = {}, []
        yield
