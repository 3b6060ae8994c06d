"""Where a transaction's data lies, written down with its PrepareCommit: from which offset, and before which.

It travels in a header of that record in `__transaction_state`. Kafka reads keys and values there and passes over
headers, so the record stays Kafka's own. Layout: for each topic of the value, in its order, the topic's id (16 bytes),
then for each of its partitions first offset and end (int64 each); -1 where nothing was written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from broker_embedded.topics import Partition

HEADER = "spans"
NO_TOPIC = UUID(int=0)
_SPAN = struct.Struct(">qq")


class Span(NamedTuple):
    """The data of one transaction in one partition; other producers may have written in between."""

    topic_id: UUID
    first: int
    end: int


def encode_spans(spans: Mapping[Partition, Span]) -> bytes:
    """
    >>> spans = {("flights", 0): Span(UUID(int=7), 40, 42), ("flights", 3): Span(UUID(int=7), -1, -1)}
    >>> decode_spans(encode_spans(spans), spans) == spans
    True
    """
    parts = []
    topic = None
    for partition in sorted(spans):
        span = spans[partition]
        if partition[0] != topic:
            topic = partition[0]
            parts.append(span.topic_id.bytes)
        parts.append(_SPAN.pack(span.first, span.end))
    return b"".join(parts)


def decode_spans(data: bytes, partitions: Iterable[Partition]) -> dict[Partition, Span]:
    """The spans of `partitions`, which are those of the record's value."""
    spans = {}
    position = 0
    topic, topic_id = None, NO_TOPIC
    for partition in sorted(partitions):
        if partition[0] != topic:
            topic = partition[0]
            topic_id = UUID(bytes=data[position : position + 16])
            position += 16
        spans[partition] = Span(topic_id, *_SPAN.unpack_from(data, position))
        position += _SPAN.size
    return spans
