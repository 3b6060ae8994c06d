"""Reading a topic: raw record batches become batches with typed keys and values.

What is no data stands between them in its place: markers of stream time, and records that do not decode. Those go to
the error policy when the task comes to them, not when they are read, so that a commit in between knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from broker_embedded import records
from streams.batch import Batch
from streams.errors import DecodeError, user_line
from streams.faces import Keys, Values
from streams.graph.nodes import SourceNode
from streams.kernels import compiled
from streams.kernels.compiled import record_reader
from streams.models import timestamp_field
from streams.operators.base import Operator, TaskContext
from streams.operators.keyless import is_data, untagged
from streams.operators.sources.extraction import Extraction
from streams.origin import Origin
from streams.serde import RAW, TEXT, json_lines, key_serde_for, serde_for
from streams.serde.json_columns import JsonColumns
from streams.spans import Spans


@dataclass(frozen=True, slots=True)
class Marker:
    """A record of a repartition topic that carries a writer's stream time (see `streams.runtime.stream_time`)."""

    offset: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A record that does not decode: its place in the log as a batch of one, and what is wrong with it.

    One that stands `beside` what comes next is from among those records, and handed to the policy with the last of them
    that come before it.
    """

    record: Batch
    error: Exception
    beside: bool = False

    @property
    def offset(self) -> int:
        return int(self.record.offsets[0])


Segment = Batch | Marker | Undecodable


class SourceOperator(Operator[SourceNode]):
    def __init__(self, node: SourceNode, context: TaskContext) -> None:
        super().__init__(node, context)
        self._keys = key_serde_for(node.topic.key_type)
        self._values = serde_for(node.topic.value_type)
        self._event_time = timestamp_field(node.topic.value_type)
        self._parser = _parser_for(node, self._event_time)
        self.extraction = Extraction(node, context)

    def process(self, batch: Batch) -> Batch | None:
        return batch

    def decode(self, raw: Sequence[memoryview], partition: int, from_offset: int) -> list[Segment]:
        """The records of whole raw batches from `from_offset` on (a fetch may begin in the middle of a batch)."""
        found = records.decode_many(raw, record_reader.read if compiled.ready() else records.read_records)
        headers = found.headers() if found.has_headers else None
        count, values = len(found.offsets), Spans(found.buffer, found.value_start, found.value_stop)
        whole = Batch(
            offsets=found.offsets,
            timestamps=found.timestamps,
            keys=Keys(count, spans=Spans(found.buffer, found.key_start, found.key_stop)),
            values=Values(count, None, self.node.topic.value_type, _undecoded, values),
            headers=headers,  # type: ignore[arg-type]  # lists are invariant
            topic=self.node.topic.name,
            partition=partition,
            origin=Origin(self.node.topic.name, partition, [found]),
        )
        raw_records = whole[int(np.searchsorted(whole.offsets, from_offset)) :]
        return self._apart(raw_records) if self.node.topic.internal else self._typed(raw_records)

    def _apart(self, raw: Batch) -> list[Segment]:
        """Data and markers, which are the records of a repartition topic that have no key; a few of those are data."""
        segments: list[Segment] = []
        start = 0
        rows = [row for row, key in enumerate(raw.key_bytes or ()) if key is None]
        if rows and raw.headers is not None:
            rows = [row for row in rows if not is_data(raw.headers[row])]
            raw.headers = untagged(raw.headers)
        for row in rows:
            segments += self._typed(raw[start:row])
            segments.append(Marker(int(raw.offsets[row]), raw.values[row]))
            start = row + 1
        return segments + self._typed(raw[start:])

    def _typed(self, raw: Batch) -> list[Segment]:
        if not len(raw):
            return []
        has_ascii_keys = compiled.ready(len(raw)) and self._has_ascii_keys(raw)
        if self._parser is not None and has_ascii_keys:
            return self._parsed(raw, self._parser)
        key_bytes = None if has_ascii_keys else raw.key_bytes or []
        together = (
            json_lines.decode_spans(self._values, raw.value_spans) if has_ascii_keys and raw.value_spans else None
        )
        values, bad = together or self._values.decode_rows(raw.values, raw.headers)
        keys, bad_keys = (
            (None, []) if key_bytes is None or self._is_plain_text(key_bytes) else self._keys.decode_many(key_bytes)
        )
        spans = raw.key_spans if key_bytes is None else None
        batch = raw.with_faces(
            Keys(len(raw), keys, key_bytes, self._keys.decode_each, spans), Values(len(raw), values, raw.value_type)
        )
        return self._around(batch, _decode_errors("value", bad) | _decode_errors("key", bad_keys))

    def _parsed(self, raw: Batch, parser: JsonColumns) -> list[Segment]:
        """With the columns that are asked for; keys and values are decoded when somebody wants them."""
        assert raw.value_spans is not None
        columns, bad = parser.parse(raw.value_spans)
        keys = Keys(len(raw), decode=self._keys.decode_each, spans=raw.key_spans)
        values = Values(len(raw), None, raw.value_type, self._values.decode_each, raw.value_spans, columns)
        batch = raw.with_faces(keys, values)
        return self._around(batch, _decode_errors("value", bad))

    def _has_ascii_keys(self, raw: Batch) -> bool:
        """Whether all keys surely decode."""
        from streams.kernels.compiled.texts import is_ascii

        spans = raw.key_spans
        if self._keys is not TEXT or spans is None:
            return self._keys is RAW
        return is_ascii(*spans.arrays(), len(raw)) == 1

    def _is_plain_text(self, keys: list[bytes | None]) -> bool:
        """Whether all keys surely decode, so that they need not be decoded before somebody asks for them."""
        if self._keys is not TEXT:
            return self._keys is RAW
        try:
            return b"".join(keys).isascii()  # type: ignore[arg-type]
        except TypeError:  # a record without a key: asking each first would take three times as long
            return False

    def _around(self, batch: Batch, bad: dict[int, DecodeError]) -> list[Segment]:
        """The batch in pieces, with the records that did not decode between them, if one of those may end the app."""
        if bad and not self.context.failures.stops(self.node):
            return self._beside(batch, bad)
        segments: list[Segment] = []
        start = 0
        for row in sorted(bad):
            segments += self._timed(batch[start:row])
            segments.append(Undecodable(batch[row : row + 1], bad[row]))
            start = row + 1
        return segments + self._timed(batch[start:])

    def _beside(self, batch: Batch, bad: dict[int, DecodeError]) -> list[Segment]:
        """The batch in one piece: one bad record in a thousand would make a batch of eight thousand nine small ones."""
        good = np.ones(len(batch), np.bool_)
        good[list(bad)] = False
        last = int(np.flatnonzero(good)[-1]) if good.any() else -1
        segments: list[Segment] = [
            Undecodable(batch[row : row + 1], bad[row], beside=row < last) for row in sorted(bad)
        ]
        before = sum(row < last for row in bad)
        return [*segments[:before], *self._timed(batch.take(good)), *segments[before:]]

    def reject(self, found: Undecodable) -> None:
        """Hands the record to the error policy."""
        self.context.failures.give_up(self.node, found.record, 0, found.error)

    def _timed(self, batch: Batch) -> list[Segment]:
        """The timestamp is the record's own field of type `Timestamp`, where it has a value."""
        if not len(batch):
            return []
        if self._event_time is not None:
            column = batch.column(self._event_time)
            times = column.values if column.valid is None else np.where(column.valid, column.values, batch.timestamps)
            batch.timestamps = times.astype(np.int64, copy=False)
        return [batch] if self.node.topic.internal else self._extracted(batch)

    def _extracted(self, batch: Batch) -> list[Segment]:
        """The records under the times that the topic's rule gives them."""
        found = self.extraction.times(batch)
        batch.timestamps = found.times
        if not (found.bad or found.dropped):
            return [batch]
        if found.dropped:
            self.context.failures.dropped(self.node, "negative_timestamp", len(found.dropped))
        segments: list[Segment] = []
        start = 0
        for row in sorted([*found.bad, *found.dropped]):
            segments += [batch[start:row]] if row > start else []
            segments += [Undecodable(batch[row : row + 1], found.bad[row])] if row in found.bad else []
            start = row + 1
        return [*segments, batch[start:]] if start < len(batch) else segments


def _undecoded(values: list[bytes | None]) -> list[Any]:
    return values


def _parser_for(node: SourceNode, event_time: str | None) -> JsonColumns | None:
    """Where nobody wants more of the values than some of their fields, and these are such as the parser knows."""
    if node.fields_read is None:
        return None
    wanted = node.fields_read if event_time is None else node.fields_read | {event_time}
    return JsonColumns.for_record(node.topic.value_type, sorted(wanted))


def _decode_errors(part: str, found: list[tuple[int, Exception]]) -> dict[int, DecodeError]:
    """By row. `line` is that of a serde of the user's."""
    return {
        row: DecodeError(f"the {part} does not decode: {error}", line=user_line(error.__traceback__))
        for row, error in found
    }
