"""Finding and reading batches in the segments of a partition, by offset and by time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from broker_embedded.log.segment import Segment
from broker_embedded.records import decode

_CURSORS_KEPT: Final = 16


class Reader:
    """Reads in `segments`, a list that its owner adds to at the end and removes from at the start.

    Where each of the last readers stopped is remembered, so that reading on does no search. The last segment is open;
    of the others one at a time is.
    """

    __slots__ = ("_cursors", "_opened", "_segments", "_stop")

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = segments
        self._cursors: dict[int, tuple[Segment, int]] = {}
        self._opened: Segment | None = None
        self._stop: tuple[int, Segment, int] | None = None

    def release(self) -> None:
        """Close the file of a segment that is not the last."""
        if self._opened is not None and self._opened is not self._segments[-1]:
            self._opened.release()
        self._opened = None

    def read(self, offset: int, max_bytes: int, limit: int, *, at_least_one: bool) -> tuple[memoryview, int]:
        """Whole batches of one segment, from that of `offset` on and below `limit`, and the offset to go on with."""
        cursor = self._cursors.pop(offset, None)
        # Its segment may have been finished just there since.
        if cursor is None or cursor[1] == cursor[0].size_bytes:
            cursor = self._locate(offset)
        segment, position = cursor
        self._use(segment)
        stop, stop_offset = self._end(segment, limit)
        data, after = segment.read_batches(position, max_bytes, stop, at_least_one=at_least_one)
        if not data:
            # Compaction and a crash may leave no batch between an offset and the end.
            return data, max(offset, stop_offset) if position == stop else offset
        next_offset = stop_offset if after is None else after
        end = position + len(data)
        if end < segment.size_bytes or segment is self._segments[-1]:
            self._cursors[next_offset] = (segment, end)
            if len(self._cursors) > _CURSORS_KEPT:
                del self._cursors[next(iter(self._cursors))]
        return data, next_offset

    def _number(self, offset: int) -> int:
        """The number of the segment that holds `offset`, or would."""
        return max(0, bisect_right(self._segments, offset, key=_base_offset) - 1)

    def _locate(self, offset: int) -> tuple[Segment, int]:
        """Segment and position of the batch that holds `offset`, or of the next one where offsets have a gap."""
        for number in range(self._number(offset), len(self._segments)):
            segment = self._segments[number]
            self._use(segment)
            found = segment.find(offset)
            if found is not None:
                return segment, found[0]
        return segment, segment.size_bytes

    def _use(self, segment: Segment) -> None:
        """Make a segment readable."""
        if segment is self._segments[-1] or segment is self._opened:
            return
        if self._opened is not None and self._opened is not self._segments[-1]:
            self._opened.release()
        self._opened = segment
        segment.load()

    def _end(self, segment: Segment, limit: int) -> tuple[int, int]:
        """Where reading in a segment must stop: position, and the offset to go on with."""
        end_offset = segment.next_offset
        if segment is not self._segments[-1]:
            end_offset = self._segments[self._number(segment.base_offset) + 1].base_offset
        if limit >= end_offset:
            return segment.size_bytes, end_offset
        if self._stop is None or self._stop[0] != limit:
            self._stop = (limit, *self._locate(limit))
            self._use(segment)
        _, at, position = self._stop
        return (position, limit) if at is segment else (segment.size_bytes, end_offset)

    def find_timestamp(self, timestamp: int, start_offset: int) -> tuple[int, int] | None:
        """(timestamp, offset) of the first record from `start_offset` on that is not earlier than `timestamp`."""
        for segment in self._segments:
            self._use(segment)
            if segment.size_bytes and segment.max_timestamp >= timestamp:
                found = _search(segment, timestamp, start_offset)
                if found is not None:
                    return found
        return None

    def find_max_timestamp(self, start_offset: int) -> tuple[int, int] | None:
        """(timestamp, offset) of the first record with the largest timestamp; None in an empty log."""
        largest = -1
        for segment in self._segments:
            self._use(segment)
            if segment.size_bytes:
                largest = max(largest, segment.max_timestamp)
        found = self.find_timestamp(largest, start_offset) if largest >= 0 else None
        # The one with the largest may lie before the start, in a segment that is still there.
        return found or self._scan_for_largest(start_offset)

    def _scan_for_largest(self, start_offset: int) -> tuple[int, int] | None:
        largest: tuple[int, int] | None = None
        for segment in self._segments[self._number(start_offset) :]:
            self._use(segment)
            start = segment.find(start_offset)
            for _, header, batch in segment.walk(segment.size_bytes, start[0]) if start else ():
                if header.max_timestamp > (largest[0] if largest else -1):
                    records = decode(batch)
                    for row in zip(records.timestamps.tolist(), records.offsets.tolist(), strict=True):
                        if row[1] >= start_offset and row[0] > (largest[0] if largest else -1):
                            largest = row
        return largest


def _base_offset(segment: Segment) -> int:
    return segment.base_offset


def _search(segment: Segment, timestamp: int, start_offset: int) -> tuple[int, int] | None:
    # An entry of the time index says that up to its offset nothing is later than its timestamp.
    slot = segment.times.floor(timestamp - 1)
    offset = segment.base_offset + segment.times.values[slot] + 1 if slot >= 0 else segment.base_offset
    start = segment.find(max(offset, start_offset))
    if start is None:
        return None
    for _, header, batch in segment.walk(segment.size_bytes, start[0]):
        if header.max_timestamp >= timestamp:
            records = decode(batch)
            for at, record_offset in zip(records.timestamps.tolist(), records.offsets.tolist(), strict=True):
                if at >= timestamp and record_offset >= start_offset:
                    return at, record_offset
    return None
