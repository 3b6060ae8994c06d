"""Reading a topic: raw record batches become one `Batch` with typed keys and values.

A record that does not decode goes to the error policy with its bytes, so that a dead letter is what was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from broker_embedded import records
from streams.batch import Batch
from streams.errors import DecodeError
from streams.graph.nodes import SourceNode
from streams.models import timestamp_field
from streams.operators.base import Operator, TaskContext
from streams.operators.failures import TryAgain
from streams.serde import key_serde_for, serde_for


@dataclass(frozen=True, slots=True)
class Marker:
    """A record of a repartition topic that carries a writer's stream time instead of data (see
    `streams.runtime.stream_time`).
    """

    offset: int
    value: bytes


class SourceOperator(Operator[SourceNode]):
    def __init__(self, node: SourceNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._keys = key_serde_for(node.topic.key_type)
        self._values = serde_for(node.topic.value_type)
        self._event_time = timestamp_field(node.topic.value_type)

    def process(self, batch: Batch) -> Batch | None:
        return batch

    def decode(self, raw: Sequence[memoryview], partition: int, from_offset: int) -> list[Batch | Marker]:
        """The records of whole raw batches from `from_offset` on (a fetch may begin in the middle of a batch).

        One batch; of a repartition topic as many as the markers leave, with the markers between them.
        """
        parts = [records.decode(part) for part in raw]
        key_bytes = [key for part in parts for key in part.keys()]  # noqa: SIM118 - Records is no dict
        values = [value for part in parts for value in part.values()]
        headers = (
            [entry for part in parts for entry in part.headers()] if any(part.has_headers for part in parts) else None
        )
        offsets = np.concatenate([part.offsets for part in parts])
        timestamps = np.concatenate([part.timestamps for part in parts])
        skip = int(np.searchsorted(offsets, from_offset))
        if skip:
            key_bytes, values, offsets, timestamps = key_bytes[skip:], values[skip:], offsets[skip:], timestamps[skip:]
            headers = None if headers is None else headers[skip:]
        whole = Batch(
            offsets=offsets,
            timestamps=timestamps,
            key_bytes=key_bytes,
            values=values,
            headers=headers,  # type: ignore[arg-type]
            topic=self.node.topic.name,
            partition=partition,
            value_type=self.node.topic.value_type,
        )
        if self.node.topic.internal and None in key_bytes:
            return self._apart(whole, [row for row, key in enumerate(key_bytes) if key is None])
        return self._decoded(whole)

    def _apart(self, raw: Batch, marker_rows: list[int]) -> list[Batch | Marker]:
        segments: list[Batch | Marker] = []
        start = 0
        for row in marker_rows:
            segments += self._decoded(raw[start:row])
            segments.append(Marker(int(raw.offsets[row]), raw.values[row]))
            start = row + 1
        return segments + self._decoded(raw[start:])

    def _decoded(self, raw: Batch) -> list[Batch | Marker]:
        if not len(raw):
            return []
        batch = self._typed(raw, raw.key_bytes or [], raw.values)
        return [batch] if len(batch) else []

    def _typed(self, raw: Batch, key_bytes: list[bytes | None], value_bytes: list[bytes | None]) -> Batch:
        keys, bad_keys = self._keys.decode_many(key_bytes)
        values, bad_values = self._values.decode_many(value_bytes)
        batch = Batch(
            offsets=raw.offsets,
            timestamps=raw.timestamps,
            keys=keys,
            key_bytes=key_bytes,
            values=values,
            headers=raw.headers,
            topic=raw.topic,
            partition=raw.partition,
            value_type=raw.value_type,
        )
        bad = dict(bad_keys) | dict(bad_values)
        if bad:
            batch = self._without(batch, bad, key_bytes, value_bytes)
        return self._with_event_time(batch) if self._event_time is not None else batch

    def _without(
        self, batch: Batch, bad: dict[int, Any], keys: list[bytes | None], values: list[bytes | None]
    ) -> Batch:
        for index in sorted(bad):
            error = DecodeError(
                f"does not decode: {bad[index]}",
                step=self.node.name,
                topic=batch.topic,
                partition=batch.partition,
                offset=int(batch.offsets[index]),
            )
            self._failed(batch, index, error, (keys[index], values[index]))
        kept = np.ones(len(batch), np.bool_)
        kept[list(bad)] = False
        return batch.take(kept)

    def _failed(self, batch: Batch, index: int, error: DecodeError, raw: tuple[bytes | None, bytes | None]) -> None:
        """Bytes that do not decode will not decode the next time either: retries are used up at once."""
        while True:
            try:
                return self.context.failures.handle(self.node, batch, index, error, raw)
            except TryAgain:
                continue

    def _with_event_time(self, batch: Batch) -> Batch:
        """The timestamp is the record's own field of type `Timestamp`, where it has a value."""
        assert self._event_time is not None
        column = batch.column(self._event_time)
        own = (
            column.values.astype(np.int64)
            if column.valid is None
            else np.where(column.valid, column.values, 0).astype(np.int64)
        )
        batch.timestamps = own if column.valid is None else np.where(column.valid, own, batch.timestamps)
        return batch
