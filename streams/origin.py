"""Where the rows of a batch came from: the records as they were read, which is what a dead letter is made of."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from broker_embedded.records import Records


class OriginalRecord(NamedTuple):
    """A record as it stands in the log."""

    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Sequence[tuple[str, bytes | None]]


class Origin:
    """The records of one topic-partition that batches were made of, in offset order.

    It keeps what decoding them left (bytes and positions) and cuts a record out only when it is asked for, so it costs
    nothing per record. Batches hand it on to the batches made from them; it lives as long as the last of these.

    >>> from broker_embedded.records import decode, encode
    >>> origin = Origin("flights", 0, [decode(encode([b"AA", b"UA"], [b"1", b"x"], [10, 20], base_offset=7))])
    >>> origin.record(8)
    OriginalRecord(key=b'UA', value=b'x', timestamp=20, headers=[])
    >>> origin.record(9) is None
    True
    """

    __slots__ = ("_parts", "partition", "topic")

    def __init__(self, topic: str, partition: int, parts: Sequence[Records]) -> None:
        self.topic = topic
        self.partition = partition
        self._parts = [part for part in parts if len(part)]

    def record(self, offset: int) -> OriginalRecord | None:
        """The record at `offset`; None if it is not among these."""
        at = bisect_right(self._parts, offset, key=lambda part: int(part.offsets[0])) - 1
        if at < 0:
            return None
        part = self._parts[at]
        row = int(part.offsets.searchsorted(offset))
        if row == len(part) or part.offsets[row] != offset:
            return None
        one = part.slice(row, row + 1)
        return OriginalRecord(one.keys()[0], one.values()[0], int(one.timestamps[0]), one.headers()[0])

    @staticmethod
    def joined(origins: Sequence[Origin | None]) -> Origin | None:
        """One that knows the records of all; None where they are of different partitions."""
        known = list(dict.fromkeys(origins))
        first = known[0] if known else None
        if first is None or any(o is None or (o.topic, o.partition) != (first.topic, first.partition) for o in known):
            return None
        parts = [part for origin in known if origin is not None for part in origin._parts]
        return Origin(first.topic, first.partition, sorted(parts, key=lambda part: int(part.offsets[0])))
